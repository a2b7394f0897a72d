//! Markdown pieces: padded tables, cells that no text can break.

/// Where the cells of a column stand.
#[derive(Clone, Copy)]
pub enum Align {
    /// At the left.
    Left,
    /// In the middle.
    Center,
}

/// A table with every column padded to its widest cell; lines end in a newline.
pub fn table(header: &[String], rows: &[Vec<String>], align: Align) -> String {
    let widths: Vec<usize> = (0..header.len())
        .map(|column| width(header, rows, column))
        .collect();
    let mut out = line(header, &widths);
    out += &ruler(&widths, align);
    for row in rows {
        out += &line(row, &widths);
    }
    out
}

/// Widest cell of a column in characters.
fn width(header: &[String], rows: &[Vec<String>], column: usize) -> usize {
    let cells = std::iter::once(header).chain(rows.iter().map(Vec::as_slice));
    cells
        .filter_map(|row| row.get(column))
        .map(|cell| cell.chars().count())
        .max()
        .unwrap_or(0)
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded: String = cells
        .iter()
        .zip(widths)
        .map(|(cell, &width)| format!(" {cell:<width$} |"))
        .collect();
    format!("|{padded}\n")
}

fn ruler(widths: &[usize], align: Align) -> String {
    let marks: String = widths
        .iter()
        .map(|&width| match align {
            Align::Left => format!(":{}|", "-".repeat(width + 1)),
            Align::Center => format!(":{}:|", "-".repeat(width)),
        })
        .collect();
    format!("|{marks}\n")
}

/// A text as a code cell. Pipes would end the cell, newlines the table, `<` and backticks the code.
pub fn code_cell(text: &str) -> String {
    let one_line = text
        .replace("\r\n", "\n")
        .replace(['\r', '\u{b}', '\u{c}'], "\n");
    let escaped = one_line
        .replace('<', "&lt;")
        .replace('`', "&#96;")
        .replace('|', "\\|")
        .replace('\n', "<br>");
    format!("<code>{escaped}</code>")
}

/// A value inside a sentence or a list item: one line, no HTML.
pub fn inline(text: &str) -> String {
    text.split(['\n', '\r'])
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
        .replace('<', "&lt;")
}

/// Every line moved right by two spaces, for a block inside a list item.
pub fn indented(block: &str) -> String {
    block.lines().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_survive_any_text() {
        let nasty = "a | b\r\nc `x` </code><script>\u{b}d";
        assert_eq!(
            code_cell(nasty),
            "<code>a \\| b<br>c &#96;x&#96; &lt;/code>&lt;script><br>d</code>"
        );
    }

    #[test]
    fn tables_are_padded_by_characters() {
        let strings = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let left = table(&strings(["é", "b"]), &[strings(["xyz", "1"])], Align::Left);
        assert_eq!(left, "| é   | b |\n|:----|:--|\n| xyz | 1 |\n");
        let center = table(
            &strings(["é", "b"]),
            &[strings(["xyz", "1"])],
            Align::Center,
        );
        assert_eq!(center, "| é   | b |\n|:---:|:-:|\n| xyz | 1 |\n");
    }
}
