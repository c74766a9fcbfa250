//! A PostgreSQL password from where `psql` would take it: `PGPASSWORD`, else the password file
//! (`PGPASSFILE` or `~/.pgpass`; PostgreSQL manual, section 34.16). Never from the command line.

use std::{env, path::PathBuf};

use encrytrust_keys::files::read_private;
use reqwest::Url;
use zeroize::Zeroizing;

use crate::exit::Failure;

/// The URL of a database, with a password if there is one for it and the URL has none.
pub(crate) fn with_password(source: &str) -> Result<Zeroizing<String>, Failure> {
    let unchanged = || Zeroizing::new(source.to_owned());
    let Ok(mut url) = Url::parse(source) else { return Ok(unchanged()) };
    if !url.scheme().starts_with("postgres") || url.password().is_some() {
        return Ok(unchanged());
    }
    let password = match env::var("PGPASSWORD") {
        Ok(password) => Some(Zeroizing::new(password)),
        Err(_) => from_file(&url)?,
    };
    let Some(password) = password else { return Ok(unchanged()) };
    url.set_password(Some(&password)).map_err(|()| {
        Failure::usage("usage", "a password needs a host in the database's URL to go to")
    })?;
    Ok(Zeroizing::new(url.into()))
}

fn from_file(url: &Url) -> Result<Option<Zeroizing<String>>, Failure> {
    let named = env::var_os("PGPASSFILE").map(PathBuf::from);
    let usual = || Some(PathBuf::from(env::var_os("HOME")?).join(".pgpass"));
    let Some(path) = named.or_else(usual).filter(|path| path.exists()) else { return Ok(None) };
    let text = read_private(&path).map_err(|e| Failure::refused("file", e))?;
    let text = str::from_utf8(&text)
        .map_err(|_| Failure::refused("file", format!("{} is not text", path.display())))?;
    Ok(lookup(text, url))
}

/// The password of the first line that fits: `host:port:database:user:password`.
fn lookup(file: &str, url: &Url) -> Option<Zeroizing<String>> {
    let port = url.port().unwrap_or(5432).to_string();
    let database = url.path().trim_start_matches('/');
    let user = url.username();
    let database = if database.is_empty() { user } else { database };
    let wanted = [url.host_str().unwrap_or("localhost"), &port, database, user];
    file.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = fields(line);
        let password = (fields.len() == 5).then(|| fields.pop())??;
        let fits =
            |(field, wanted): (&Zeroizing<String>, &str)| **field == "*" || **field == wanted;
        fields.iter().zip(wanted).all(fits).then_some(password)
    })
}

/// Splits at `:`; a backslash takes the next character as it is.
fn fields(line: &str) -> Vec<Zeroizing<String>> {
    let mut fields = vec![Zeroizing::new(String::new())];
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        let last = fields.last_mut().expect("it starts with one field and only grows");
        match c {
            ':' => fields.push(Zeroizing::new(String::new())),
            '\\' => last.extend(rest.next()),
            _ => last.push(c),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(url: &str) -> Option<String> {
        let file = "# mine\nother:*:*:*:no\ndb.example:5432:crm:reader:a\\:b\\\\c\n*:*:*:me:last\n";
        lookup(file, &Url::parse(url).unwrap()).map(|password| (*password).clone())
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        assert_eq!(found("postgres://reader@db.example/crm").as_deref(), Some(r"a:b\c"));
        assert_eq!(found("postgres://me@db.example:6000/x").as_deref(), Some("last"));
        assert_eq!(found("postgres://reader@db.example/hr"), None);
    }
}
