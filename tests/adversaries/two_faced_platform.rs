//! The two-faced platform: with one key it tells two histories, each sound in itself, each to
//! somebody else.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use encrytrust_index_chain::checkpoint::{LogName, SignedCheckpoint};
use encrytrust_participant_node::{ClientError, ErrorKind, Node, NodeError, sync_copy};
use encrytrust_tests::{MarketUnderTest, Platform, Table};

/// A market, a node that has seen its history, and its platform's other face.
struct Stage {
    market: MarketUnderTest,
    lender: Node,
    other: Platform,
}

/// Five offers are common to both histories; then the faces take so many each.
async fn stage(shown: usize, hidden: usize) -> Result<Stage> {
    let mut market = MarketUnderTest::start().await?;
    let (bank, lender) = (market.member("bank").await?, market.member("lender").await?);
    market.publish(&bank, &Table::incomes(market.path("rows.csv"), 5)?, None).await?;
    let hand = market.hand("hand").await?;
    let other = market.fork("twin").await?;
    for (wire, count) in [(market.wire(), shown), (other.wire(), hidden)] {
        for _ in 0..count {
            wire.offer(hand.offer()?.bytes()).await?;
        }
    }
    look(&lender).await?;
    Ok(Stage { market, lender, other })
}

async fn look(node: &Node) -> Result<(), NodeError> {
    let found = node.find(&["ZZ-000001".to_owned()], false, &|_| ()).await?;
    assert_eq!(found.offers.len(), 1);
    Ok(())
}

impl Stage {
    /// The platform shows its other face; the node notices, refuses, and keeps both notes.
    async fn is_caught(&self, node: &Node) -> Result<()> {
        self.market.proxy.lead_to(&self.other.url());
        let error = look(node).await.expect_err("another history");
        assert_eq!(error.kind(), ErrorKind::Verification);
        let NodeError::Platform(ClientError::SplitView { evidence, .. }) = &error else {
            panic!("{error}")
        };
        self.convicts(Path::new(evidence))?;
        // It goes on refusing, and goes on believing what it saw first.
        look(node).await.expect_err("still another history");
        node.sync(&|_| ()).await.expect_err("for copies too");
        self.market.proxy.lead_to(&self.market.platform().url());
        look(node).await?;
        Ok(())
    }

    /// Both notes are the platform's own, and they are not the same.
    fn convicts(&self, evidence: &Path) -> Result<[SignedCheckpoint; 2]> {
        let vkey = LogName::Index.vkey(&self.market.market, self.market.vkey.key());
        let note = |name: &str| -> Result<SignedCheckpoint> {
            let note = fs::read(evidence.join(name)).context(name.to_owned())?;
            Ok(SignedCheckpoint::open(&note, &vkey)?)
        };
        let notes = [note("seen.note")?, note("shown.note")?];
        assert_ne!(notes[0].checkpoint(), notes[1].checkpoint());
        ensure!(!fs::read_to_string(evidence.join("what.txt"))?.trim().is_empty());
        Ok(notes)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_trees_of_one_size() -> Result<()> {
    let stage = stage(3, 3).await?;
    stage.is_caught(&stage.lender).await?;
    let evidence = fs::read_dir(stage.lender.dir().join("evidence"))?.next().context("kept")??;
    let [seen, shown] = stage.convicts(&evidence.path())?;
    assert_eq!(seen.head().size, shown.head().size);
    assert_ne!(seen.head().root, shown.head().root, "two notes that convict it anywhere");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_longer_tree_that_does_not_begin_with_the_shorter() -> Result<()> {
    let stage = stage(2, 4).await?;
    stage.is_caught(&stage.lender).await
}

#[tokio::test(flavor = "multi_thread")]
async fn back_to_an_older_checkpoint() -> Result<()> {
    let stage = stage(3, 0).await?;
    stage.is_caught(&stage.lender).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_restarted_remembers() -> Result<()> {
    let stage = stage(1, 2).await?;
    let reopened = Node::open(stage.lender.dir(), None)?;
    stage.is_caught(&reopened).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditors_copy_notices_too() -> Result<()> {
    let stage = stage(3, 5).await?;
    let (copy, vkey) = (stage.market.path("copy"), stage.market.vkey.to_string());
    sync_copy(&copy, &stage.market.platform().url(), Some(&vkey), &|_| ()).await?;
    let error = sync_copy(&copy, &stage.other.url(), Some(&vkey), &|_| ()).await;
    let error = error.expect_err("another history");
    let NodeError::Platform(ClientError::SplitView { evidence, .. }) = &error else {
        panic!("{error}")
    };
    ensure!(fs::read_dir(evidence)?.count() >= 2, "the evidence is kept");
    // What was copied is sound, and it is the first history.
    let report = stage.market.auditor().audit(&copy)?;
    assert_eq!(report.index_entries, 8);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_saw_one_face_only_is_convinced_by_the_others_note() -> Result<()> {
    let stage = stage(3, 3).await?;
    let (copy, vkey) = (stage.market.path("copy"), stage.market.vkey.to_string());
    // Each history alone is without fault: nobody who sees only one can know.
    sync_copy(&copy, &stage.other.url(), Some(&vkey), &|_| ()).await?;
    stage.market.auditor().audit(&copy)?;
    // Comparing what two parties saw is what shows it.
    let seen = fs::read(stage.lender.dir().join("seen/checkpoint.index"))?;
    let key = LogName::Index.vkey(&stage.market.market, stage.market.vkey.key());
    let seen = SignedCheckpoint::open(&seen, &key)?;
    let error = stage.market.auditor().has_seen([seen]).audit(&copy).expect_err("two histories");
    let encrytrust_index_chain::audit::AuditError::Fault(fault) = error else { panic!("{error}") };
    assert_eq!(fault.kind.slug(), "history", "{fault}");
    Ok(())
}
