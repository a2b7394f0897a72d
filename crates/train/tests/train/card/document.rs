//! Reading a rendered card: front matter as YAML, sections, tables.

use serde_json::Value;

/// The front matter, as JSON.
pub fn front_matter(card: &str) -> Value {
    let text = card.strip_prefix("---\n").expect("an opening fence");
    let end = text.find("\n---\n").expect("a closing fence");
    serde_saphyr::from_str(&text[..end]).expect("valid YAML")
}

/// The body of the section under `heading`, up to the next heading outside of code.
pub fn section<'a>(card: &'a str, heading: &str) -> &'a str {
    let start = card
        .find(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("no section {heading:?}"));
    let body = &card[start + heading.len() + 2..];
    let mut fenced = false;
    let mut end = 0;
    for line in body.split_inclusive('\n') {
        fenced ^= line.trim_start().starts_with("```");
        if !fenced && line.starts_with('#') {
            break;
        }
        end += line.len();
    }
    &body[..end]
}

/// Cells of the table rows in `text`, without the ruler, unpadded.
pub fn table(text: &str) -> Vec<Vec<String>> {
    let rows = text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with('|') && !line.starts_with("|:"));
    rows.map(cells).collect()
}

/// Splits at pipes that no backslash stands before.
fn cells(line: &str) -> Vec<String> {
    let inner = line
        .strip_prefix('|')
        .and_then(|line| line.strip_suffix('|'))
        .expect("a table row");
    let marked = inner.replace("\\|", "\0");
    marked
        .split('|')
        .map(|cell| cell.trim().replace('\0', "\\|"))
        .collect()
}

/// Every line outside of front matter and code.
fn prose_lines(card: &str) -> impl Iterator<Item = &str> {
    let body = card.splitn(3, "---\n").nth(2).expect("a body");
    let mut fenced = false;
    body.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// What Markdown takes for prose.
pub fn prose(card: &str) -> String {
    prose_lines(card).collect::<Vec<_>>().join("\n")
}

/// Every heading.
pub fn headings(card: &str) -> Vec<&str> {
    prose_lines(card)
        .filter(|line| line.starts_with('#'))
        .collect()
}
