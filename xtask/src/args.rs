//! The arguments of a verb: `--name value` pairs, each asked for by name, nothing left over.

use anyhow::{Context as _, Result, bail};

/// What was typed after `xtask`, consumed as it is understood.
pub(crate) struct Args(Vec<String>);

impl Args {
    pub(crate) fn from_env() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// The first word, if any.
    pub(crate) fn verb(&mut self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    /// The value after `name`, if `name` was given.
    pub(crate) fn value(&mut self, name: &str) -> Result<Option<String>> {
        let Some(at) = self.0.iter().position(|a| a == name) else { return Ok(None) };
        let value = self.0.get(at + 1).with_context(|| format!("{name} needs a value"))?.clone();
        self.0.drain(at..at + 2);
        Ok(Some(value))
    }

    /// Refuse what nobody asked for.
    pub(crate) fn finish(self) -> Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some(word) => bail!("{word:?} is not understood here"),
        }
    }
}
