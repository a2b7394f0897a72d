//! The page: a template with the data in it.

use std::io::{self, Write};

use matryo_collection::Chunk;
use matryo_mining::Point;
use serde_json::json;

use super::groups::{Groups, shortened};

const TEMPLATE: &str = include_str!("page.html");

/// Where the name and the data go.
const TITLE: &str = "/*TITLE*/";
const DATA: &str = "/*DATA*/";

/// Characters of a text that are shown.
const SHOWN: usize = 400;

/// Writes the page.
pub fn write(
    out: &mut impl Write,
    title: &str,
    chunks: &[Chunk],
    points: &[Point],
    groups: &Groups,
) -> io::Result<()> {
    let (head, rest) = TEMPLATE.split_once(TITLE).expect("a place for the title");
    let (middle, foot) = rest.split_once(DATA).expect("a place for the data");
    write!(
        out,
        "{head}{}{middle}",
        title.replace('&', "&amp;").replace('<', "&lt;")
    )?;
    write!(
        out,
        r#"{{"groups":{},"points":["#,
        in_script(&json!(groups.names).to_string())
    )?;
    for (i, ((chunk, [x, y]), group)) in chunks.iter().zip(points).zip(&groups.of).enumerate() {
        // Five digits are more than a screen shows.
        let at = format!("[{x:.4e},{y:.4e}]");
        let text = json!(shortened(&chunk.text, SHOWN)).to_string();
        let id = json!(chunk.id).to_string();
        let comma = if i > 0 { "," } else { "" };
        let point = format!(r#"{comma}{{"at":{at},"group":{group},"id":{id},"text":{text}}}"#);
        writeln!(out, "{}", in_script(&point))?;
    }
    write!(out, "]}}{foot}")
}

/// JSON that no HTML parser takes for the end of a script.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_stay_data() {
        let text = "</script><script>alert(1)</script> \"quoted\"".to_owned();
        let chunk = Chunk {
            id: "<!--".to_owned(),
            text: text.clone(),
            fields: Default::default(),
        };
        let groups = Groups {
            names: vec!["<b>".to_owned()],
            of: vec![0],
        };
        let mut page = Vec::new();
        write(&mut page, "<i> & co", &[chunk], &[[0.5, -1e-7]], &groups).unwrap();
        let page = String::from_utf8(page).unwrap();
        assert!(page.contains("<title>&lt;i> &amp; co</title>"));
        assert_eq!(
            (
                page.matches("<script>").count(),
                page.matches("</script>").count()
            ),
            (1, 1)
        );
        let data = page
            .split_once("const data = ")
            .unwrap()
            .1
            .split_once(";\n")
            .unwrap()
            .0;
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        let point = json!({"at": [0.5, -1e-7], "group": 0, "id": "<!--", "text": text});
        assert_eq!(data, json!({"groups": ["<b>"], "points": [point]}));
    }
}
