//! One subject, one spelling: the canonical subject ID.
//!
//! Two enterprises meet on a subject only if both write its ID the same way, so every ID passes
//! through here before it is hashed or blinded:
//!
//! 1. default-ignorable code points (zero-width marks, soft hyphens, a byte-order mark) are dropped;
//! 2. Unicode NFKC, then full case folding, then NFKC again. With step 1 this is `NFKC_Casefold`
//!    (Unicode, section 3.13): `Ａ` becomes `a`, `Straße` becomes `strasse`;
//! 3. white space at both ends is removed, every run of it inside becomes one space;
//! 4. other control characters, and an ID that ends up empty, are refused.
//!
//! An ID of several columns is its canonical values in the agreed order, joined by U+001F. Step 4
//! keeps that character out of the values, so two different lists never join to the same ID.
//!
//! Unicode keeps these forms for every character it has assigned; one assigned after the Unicode
//! version of this build may change its form with the next.
//!
//! The same in Python, for IDs without default-ignorables:
//!
//! ```text
//! n = lambda s: unicodedata.normalize("NFKC", s)
//! "\x1f".join(" ".join(n(n(v).casefold()).split()) for v in values).encode()
//! ```

use std::fmt;

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// The most bytes a canonical ID may have.
pub const SUBJECT_ID_MAX: usize = 1024;

/// The most columns an ID may be made of.
pub const ID_COLUMNS_MAX: usize = 16;

/// Stands between the values of a composite ID (ASCII unit separator).
const SEPARATOR: char = '\u{1f}';

/// Why a text is no subject ID. The text itself is personal data and stays out of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectIdError {
    /// Nothing left after normalisation.
    #[error("the subject ID is empty in column {column} of the ID")]
    Empty {
        /// Which of the ID's columns, from 1.
        column: usize,
    },
    /// A control character that is not white space.
    #[error("control character U+{code:04X} in column {column} of the subject ID")]
    Control {
        /// Which of the ID's columns, from 1.
        column: usize,
        /// The character.
        code: u32,
    },
    /// More than [`SUBJECT_ID_MAX`] bytes.
    #[error("a subject ID of {size} bytes; at most {SUBJECT_ID_MAX} are allowed")]
    TooLong {
        /// Bytes after normalisation.
        size: usize,
    },
    /// None, or more than [`ID_COLUMNS_MAX`].
    #[error("a subject ID of {count} columns; 1 to {ID_COLUMNS_MAX} are allowed")]
    Columns {
        /// How many were given.
        count: usize,
    },
}

/// A subject ID in its canonical form. Personal data: not shown by `Debug`, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SubjectId(Zeroizing<String>);

impl SubjectId {
    /// The canonical form of an ID of one column.
    pub fn new(id: &str) -> Result<Self, SubjectIdError> {
        Self::from_columns(&[id])
    }

    /// The canonical form of an ID made of several columns, in the order the market agreed on.
    pub fn from_columns<S: AsRef<str>>(values: &[S]) -> Result<Self, SubjectIdError> {
        if values.is_empty() || values.len() > ID_COLUMNS_MAX {
            return Err(SubjectIdError::Columns { count: values.len() });
        }
        let mut id = Zeroizing::new(String::new());
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                id.push(SEPARATOR);
            }
            append_canonical(&mut id, value.as_ref(), index + 1)?;
        }
        if id.len() > SUBJECT_ID_MAX {
            return Err(SubjectIdError::TooLong { size: id.len() });
        }
        Ok(Self(id))
    }

    /// Lends the canonical bytes (UTF-8): the input of every tag scheme.
    pub fn expose<R>(&self, reader: impl FnOnce(&[u8]) -> R) -> R {
        reader(self.0.as_bytes())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectId(<redacted>)")
    }
}

fn append_canonical(id: &mut String, value: &str, column: usize) -> Result<(), SubjectIdError> {
    // NFKC grows a character at most 18-fold, so this bounds the work before it starts.
    if value.len() > SUBJECT_ID_MAX * 4 {
        return Err(SubjectIdError::TooLong { size: value.len() });
    }
    let folded: Zeroizing<String> = Zeroizing::new(
        value
            .chars()
            .filter(|c| !is_default_ignorable(*c))
            .nfkc()
            .default_case_fold()
            .nfkc()
            .collect(),
    );
    let mut words = folded.split_whitespace().peekable();
    if words.peek().is_none() {
        return Err(SubjectIdError::Empty { column });
    }
    for (index, word) in words.enumerate() {
        if let Some(c) = word.chars().find(|c| c.is_control()) {
            return Err(SubjectIdError::Control { column, code: c.into() });
        }
        if index > 0 {
            id.push(' ');
        }
        id.push_str(word);
    }
    Ok(())
}

/// `Default_Ignorable_Code_Point`, Unicode 17, `DerivedCoreProperties.txt`.
fn is_default_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn canonical(id: &str) -> String {
        SubjectId::new(id).unwrap().0.to_string()
    }

    #[test]
    fn vectors() {
        let text = include_str!("../../vectors/subject-tag/normalisation.json");
        let file: Value = serde_json::from_str(text).unwrap();
        for v in file["vectors"].as_array().unwrap() {
            let values: Vec<&str> =
                v["values"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
            let name = v["name"].as_str().unwrap();
            match (SubjectId::from_columns(&values), v["canonical"].as_str()) {
                (Ok(id), Some(expected)) => assert_eq!(*id.0, expected, "{name}"),
                (Err(_), None) => {}
                (result, _) => panic!("{name}: {result:?}"),
            }
        }
    }

    #[test]
    fn faults_are_named_without_the_id() {
        let error = |values: &[&str]| SubjectId::from_columns(values).unwrap_err();
        assert_eq!(error(&["a", " \u{feff} "]), SubjectIdError::Empty { column: 2 });
        assert_eq!(error(&["a\u{1f}b"]), SubjectIdError::Control { column: 1, code: 0x1f });
        assert_eq!(error(&["a\0b"]), SubjectIdError::Control { column: 1, code: 0 });
        assert_eq!(error(&[]), SubjectIdError::Columns { count: 0 });
        assert_eq!(error(&["a"; 17]), SubjectIdError::Columns { count: 17 });
        assert_eq!(error(&[&"a".repeat(1025)]), SubjectIdError::TooLong { size: 1025 });
        assert_eq!(error(&[&"\u{fdfa}".repeat(1000)]), SubjectIdError::TooLong { size: 33000 });
        assert!(matches!(error(&[&"a".repeat(1 << 20)]), SubjectIdError::TooLong { .. }));
        let id = SubjectId::new("110101199003070000").unwrap();
        assert_eq!(format!("{id:?}"), "SubjectId(<redacted>)");
    }

    #[test]
    fn column_borders_matter() {
        let id = |values: &[&str]| SubjectId::from_columns(values).unwrap();
        assert_ne!(id(&["ab", "c"]), id(&["a", "bc"]));
        assert_ne!(id(&["a b"]), id(&["a", "b"]));
        assert_ne!(id(&["a", "b"]), id(&["b", "a"]));
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own_canonical_form(id in "\\PC{1,40}") {
            if let Ok(once) = SubjectId::new(&id) {
                prop_assert_eq!(canonical(&once.0), once.0.as_str());
            }
        }

        #[test]
        fn case_and_spacing_do_not_matter(id in "[a-zA-Z0-9]{1,8}( [a-zA-Z0-9]{1,8}){0,3}") {
            let loud = format!("\t{}\u{a0}", id.to_uppercase().replace(' ', " \u{3000} "));
            prop_assert_eq!(canonical(&id), canonical(&loud));
        }
    }
}
