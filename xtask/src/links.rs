//! Do the documents' links to other files lead somewhere?

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::shell::{ask, root, tool};

/// Check every relative link of every Markdown file that git knows.
pub(crate) fn check() -> Result<()> {
    let files = ask(tool("git").args(["ls-files", "*.md"])).context("git ls-files failed")?;
    let mut broken = Vec::new();
    let mut links = 0;
    for file in files.lines() {
        let path = root().join(file);
        let Ok(text) = fs::read_to_string(&path) else { continue }; // deleted, not yet committed
        let folder = path.parent().context("a file has a folder")?;
        for target in targets(&text) {
            links += 1;
            if !folder.join(target).exists() {
                broken.push(format!("{file}: {target}"));
            }
        }
    }
    if !broken.is_empty() {
        bail!("links that lead nowhere:\n  {}", broken.join("\n  "));
    }
    println!("    {links} links in the documents lead somewhere");
    Ok(())
}

/// The files that a text links to, without what follows `#`.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| {
        let target = rest.split(')').next()?.split('#').next()?;
        let elsewhere = target.contains("://") || target.starts_with("mailto:");
        (!target.is_empty() && !elsewhere).then_some(target)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_files_are_links_to_check() {
        let text = "[a](b.md) [c](https://d.example) [e](f/g.md#h) [i](#j)";
        assert_eq!(super::targets(text).collect::<Vec<_>>(), ["b.md", "f/g.md"]);
    }
}
