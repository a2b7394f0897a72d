//! Texts that could break YAML, Markdown or the template come out as they went in.

use matryo_train::card::{
    BaseModel, CardData, DatasetCard, WidgetExample, render, widget_examples,
};
use matryo_train::config::Compat;
use serde_json::{Value, json};

use super::{
    document::{front_matter, headings, prose, section, table},
    fixture::{Table, card, golden},
};

const NASTY: [&str; 24] = [
    "plain",
    "no",
    "null",
    "1e3",
    "0x1F",
    "12:30:45",
    "- item",
    "key: value # comment",
    "'single' and \"double\"",
    "back\\slash \\n",
    "line one\nline two\n---\n\n# heading\n",
    "cr\rlf\r\nend",
    "a | b || c \\| d",
    "`code` ``` fence\n```\n",
    "{{ name }} {% if x %} {# gone? #}",
    "</code></details><script>alert(1)</script><!--",
    "emoji 😀 and 漢字 and RTL \u{202e}abc",
    " leading and trailing ",
    "tab\there",
    "\u{feff}bom\u{0}nul\u{7f}del\u{85}nel\u{2028}ls\u{ffff}",
    "&amp; & *anchor !tag %directive @at",
    "? complex",
    "[flow, {map: 1}]",
    ">-\n  folded",
];

fn nasty_card() -> CardData {
    let golden = golden("seedU_st57");
    let mut card = card(&golden, Compat::Current);
    // A column a text, each text its column's name too.
    let data = Table::new(&NASTY, &[&NASTY]);
    card.model_name = Some("a: \"name\"\n# x {{ y }}".into());
    card.license = Some("no".into());
    card.language = vec!["no".into(), "en".into()];
    card.base_model = Some(BaseModel {
        name: "dir: with\nbreak".into(),
        revision: None,
        on_hub: false,
        weights_sha256: None,
    });
    let training = card.training.as_mut().expect("training");
    training.widget = vec![WidgetExample {
        source_sentence: NASTY.concat(),
        sentences: NASTY.iter().map(|text| (*text).to_owned()).collect(),
    }];
    let name = Some("data --- | {{ x }}\n# not a heading".to_owned());
    training.dataset =
        DatasetCard::describe(&data, name, "0".repeat(64), Compat::Current, &|_, text| {
            text.len()
        });
    training.hyperparameters[2].value = json!("a\n- `b`: {{ c }}");
    card
}

#[test]
fn front_matter_holds_every_text_unchanged() {
    let text = render(&nasty_card()).expect("a card");
    let head = front_matter(&text);
    let widget = &head["widget"][0];
    assert_eq!(widget["source_sentence"], Value::from(NASTY.concat()));
    assert_eq!(widget["sentences"], json!(NASTY));
    assert_eq!(head["language"], json!(["no", "en"]));
    assert_eq!(head["license"], json!("no"));
    assert_eq!(
        head["model-index"][0]["name"],
        json!("a: \"name\"\n# x {{ y }}")
    );
    assert_eq!(head.get("base_model"), None, "a folder is no hub name");
}

#[test]
fn the_body_keeps_its_shape() {
    let nasty = render(&nasty_card()).expect("a card");
    let plain = render(&card(&golden("seedU_st57"), Compat::Current)).expect("a card");
    assert_eq!(headings(&nasty).len(), headings(&plain).len());
    let prose = prose(&nasty);
    assert!(
        prose.contains("alert(1)") && !prose.contains("<script>"),
        "no text becomes HTML"
    );
    let dataset = headings(&nasty)
        .into_iter()
        .find(|h| h.starts_with("#### data"))
        .expect("the dataset's heading");
    let body = section(&nasty, dataset);
    for row in table(body) {
        assert!(
            [NASTY.len(), NASTY.len() + 1].contains(&row.len()),
            "a text broke the table: {row:?}"
        );
    }
    assert!(nasty.contains("{{ x }}"), "texts are not templates");
}

#[test]
fn long_samples_are_cut_and_long_texts_stay_out_of_the_widget() {
    let long = "é".repeat(1001);
    let data = Table::new(&["a", "b"], &[&[&long, "b1"], &["a2", "b2"]]);
    let described = DatasetCard::describe(&data, None, String::new(), Compat::Current, &|_, _| 1);
    assert_eq!(described.samples[0][0], "é".repeat(1000) + "...");
    let widget = widget_examples(&data);
    assert!(widget.iter().all(|example| example.source_sentence == "a2"));
}
