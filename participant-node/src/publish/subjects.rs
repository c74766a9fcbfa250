//! Who the rows are about: every subject's tag, each row's once.

use std::collections::HashMap;

use encrytrust_keys::{
    subject::SubjectId,
    tags::{BATCH_MAX, sha256_tag},
};
use encrytrust_protocol::{SubjectTag, TagScheme};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    error::NodeError,
    node::Node,
    report::{Progress, Published, RefusedRow, Step},
    source::{Place, Row, Source},
    vault::TagCache,
};

/// Batches that are evaluated at the same time: while the platform works on one, this machine
/// blinds or checks others on its other cores.
const IN_FLIGHT: usize = 4;

/// The smallest batch worth a request of its own.
const BATCH_MIN: usize = 250;

/// Pairs of rows about one subject that an error names.
const PAIRS_NAMED: usize = 10;

/// The tags of a source's subjects.
pub(super) struct Subjects {
    scheme: TagScheme,
    cache: TagCache,
}

impl Subjects {
    /// Reads all rows' IDs, refuses a source in which two rows are about one subject, and asks the
    /// platform for the tags that are not known yet.
    pub(super) async fn know(
        node: &Node,
        source: &dyn Source,
        scheme: TagScheme,
        progress: Progress<'_>,
        report: &mut Published,
    ) -> Result<Self, NodeError> {
        let mut cache = TagCache::open(&node.vault(), node.vault_key())?;
        let (mut places, mut unknown) = (HashMap::<[u8; 32], Place>::new(), Vec::new());
        let mut twice = Vec::new();
        let mut rows = source.scan().await?;
        while let Some(row) = rows.next().await {
            let row = row?;
            report.rows += 1;
            if report.rows.is_multiple_of(1000) {
                progress(Step::Reading { rows: report.rows });
            }
            let id = match subject(&row) {
                Ok(id) => id,
                Err(why) => {
                    report.refused.push(RefusedRow { row: row.place.to_string(), why });
                    continue;
                }
            };
            let mark = node.vault_key().mark(&id);
            if let Some(first) = places.insert(mark, row.place) {
                twice.push(format!("{first} and {}", row.place));
            } else if scheme == TagScheme::Voprf && cache.by_mark(&mark).is_none() {
                unknown.push((mark, id));
            }
        }
        drop(rows);
        progress(Step::Reading { rows: report.rows });
        if !twice.is_empty() {
            let (count, named) = (twice.len(), &twice[..twice.len().min(PAIRS_NAMED)]);
            let repeat = match count {
                1 => "a row repeats an earlier one".to_owned(),
                _ => format!("{count} rows repeat earlier ones"),
            };
            let why = format!(
                "one subject has one record, but {repeat}: {}; \
                 remove the duplicates, or add the column that tells them apart to the ID",
                named.join(", ")
            );
            return Err(NodeError::Usage(why));
        }
        report.tags_asked = unknown.len() as u64;
        ask(node, unknown, &mut cache, progress).await?;
        Ok(Self { scheme, cache })
    }

    /// A row's tag; `None` if the row has no usable ID, which was reported when it was first read.
    pub(super) fn tag_of(&self, node: &Node, row: &Row) -> Result<Option<SubjectTag>, NodeError> {
        let Ok(id) = subject(row) else { return Ok(None) };
        if self.scheme == TagScheme::Sha256 {
            return Ok(Some(sha256_tag(&id)));
        }
        let tag = self.cache.by_mark(&node.vault_key().mark(&id));
        tag.map(Some).ok_or_else(|| {
            let why = format!("{} changed while the source was read; run it again", row.place);
            NodeError::Usage(why)
        })
    }
}

fn subject(row: &Row) -> Result<SubjectId, String> {
    let columns: Vec<&str> = row.key.iter().map(|value| value.as_str()).collect();
    SubjectId::from_columns(&columns).map_err(|e| e.to_string())
}

/// Has IDs evaluated in batches and remembers each batch as soon as its proof is checked.
async fn ask(
    node: &Node,
    unknown: Vec<([u8; 32], SubjectId)>,
    cache: &mut TagCache,
    progress: Progress<'_>,
) -> Result<(), NodeError> {
    let (total, mut done) = (unknown.len() as u64, 0);
    let size = unknown.len().div_ceil(IN_FLIGHT).clamp(BATCH_MIN, BATCH_MAX);
    let mut unknown = unknown.into_iter();
    let batches = std::iter::from_fn(|| {
        let batch: Vec<_> = unknown.by_ref().take(size).collect();
        (!batch.is_empty()).then_some(batch)
    });
    let answers = stream::iter(batches).map(|batch| async move {
        let (marks, ids): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let tags = node.evaluate(ids).await?;
        Ok::<_, NodeError>(marks.into_iter().zip(tags).collect::<Vec<_>>())
    });
    let mut answers = std::pin::pin!(answers.buffer_unordered(IN_FLIGHT));
    while let Some(known) = answers.try_next().await? {
        cache.add(&known)?;
        done += known.len() as u64;
        progress(Step::Tagging { done, total });
    }
    Ok(())
}

impl Node {
    /// Tags of at most 10,000 IDs, from the platform.
    pub(crate) async fn evaluate(&self, ids: Vec<SubjectId>) -> Result<Vec<SubjectTag>, NodeError> {
        let key = self.some_key()?;
        Ok(self.platform().tags(ids, &key, self.tag_key()).await?)
    }
}
