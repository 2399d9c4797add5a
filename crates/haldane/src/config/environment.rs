//! Environment variables in texts: `$NAME` and `${NAME}`.

/// Finds the value of an environment variable.
pub type Lookup = dyn Fn(&str) -> Option<String>;

/// How the hashes of passwords start that the configuration may hold (crypt(5), and passlib's own).
const HASHES: [&str; 9] = ["$pbkdf2", "$2a$", "$2b$", "$2y$", "$5$", "$6$", "$1$", "$y$", "$argon2"];

/// Replaces the variables that are set. What is not set stays as written, and so does a text that is the hash
/// of a password.
pub fn expand(text: &str, lookup: &Lookup) -> String {
    if HASHES.iter().any(|start| text.starts_with(start)) {
        return text.to_owned();
    }
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        match variable(after) {
            Some((name, left)) => {
                match lookup(name) {
                    Some(value) => expanded.push_str(&value),
                    None => expanded.push_str(written(rest, before, left)),
                }
                rest = left;
            }
            None => {
                expanded.push('$');
                rest = after;
            }
        }
    }
    expanded.push_str(rest);
    expanded
}

/// The name at the start of what follows a dollar sign, and what follows the name.
fn variable(after: &str) -> Option<(&str, &str)> {
    if let Some(braced) = after.strip_prefix('{') {
        return braced.split_once('}').filter(|(name, _)| !name.is_empty());
    }
    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
    let (name, left) = after.split_at_checked(end)?;
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_').then_some((name, left))
}

/// What stands in `rest` between `before` and `left`.
fn written<'t>(rest: &'t str, before: &str, left: &str) -> &'t str {
    rest.get(before.len()..rest.len().saturating_sub(left.len())).unwrap_or_default()
}
