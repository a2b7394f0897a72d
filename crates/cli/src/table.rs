//! Tables for people: aligned columns, numbers to the right.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

/// A rule under the header, and no other lines: rows can be many.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table with a header line; the first column is text, the others are aligned to the right.
pub fn render(header: &[String], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(header);
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// Lines of a name and its value, the values below each other.
pub fn pairs(rows: &[(String, String)]) -> String {
    let width = rows
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let line = |(name, value): &(String, String)| format!("{name:width$}  {value}\n");
    rows.iter().map(line).collect()
}
