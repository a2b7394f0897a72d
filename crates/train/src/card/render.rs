//! A record to Markdown: the sections in upstream's order, each a template with the view of its data.

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, syntax::SyntaxConfig};

use super::{
    CardData, CardError, caveats::caveats, citations::citations, environment::environment,
    evaluation::evaluation, hyperparameters::hyperparameters, logs::logs, model_details,
    training_details::training_details, usage::usage,
};

/// A part of the card.
struct Section {
    name: &'static str,
    template: &'static str,
    /// Its data; `None` leaves the section out.
    view: fn(&CardData) -> Option<Value>,
}

macro_rules! section {
    ($file:literal, $view:expr) => {
        Section {
            name: $file,
            template: include_str!(concat!("templates/", $file)),
            view: $view,
        }
    };
}

const SECTIONS: [Section; 10] = [
    section!("head.md", model_details::head),
    section!("model_details.md", model_details::details),
    section!("usage.md", usage),
    section!("evaluation.md", evaluation),
    section!("limitations.md", caveats),
    section!("training_details.md", training_details),
    section!("hyperparameters.md", hyperparameters),
    section!("logs.md", logs),
    section!("environment.md", environment),
    section!("citation.md", citations),
];

/// The card as Markdown with YAML front matter.
///
/// # Errors
/// [`CardError::Template`] if a template does not fit its data, which is a bug of this crate.
pub fn render(card: &CardData) -> Result<String, CardError> {
    let mut engine = Environment::new();
    engine.set_auto_escape_callback(|_| AutoEscape::None);
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_syntax(block_tags_alone());
    let parts: Vec<String> = SECTIONS
        .iter()
        .filter_map(|section| section.render(&engine, card))
        .collect::<Result<_, _>>()?;
    Ok(parts.join("\n"))
}

/// A block tag on a line of its own leaves no trace of the line.
fn block_tags_alone() -> SyntaxConfig {
    let whitespace = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build();
    whitespace.expect("the default delimiters are valid")
}

impl Section {
    fn render(
        &self,
        engine: &Environment<'_>,
        card: &CardData,
    ) -> Option<Result<String, CardError>> {
        let view = (self.view)(card)?;
        let rendered = engine.render_str(self.template, view);
        Some(
            rendered
                .map(|text| text.trim_end().to_owned() + "\n")
                .map_err(|source| CardError::Template {
                    section: self.name,
                    source,
                }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_parses() {
        let mut engine = Environment::new();
        for section in &SECTIONS {
            engine
                .add_template(section.name, section.template)
                .expect(section.name);
        }
    }
}
