//! Training texts as token ids, batch by batch: a prompt per column, tokenized by the model's pipeline.

use std::{collections::HashMap, sync::Arc};

use matryo_data::Rows;
use matryo_model::{
    BYTES_BESIDE_IDS, ModelError, Pipeline, Prompt, PromptChoice, SentenceEncoder, Tokens,
    Trainable,
};

use crate::TrainConfig;

/// One text to encode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// Token ids.
    pub tokens: Tokens,
    /// Its name for dropout: of its row and column, whatever the batch.
    pub id: u64,
    /// Leading tokens that pooling leaves out.
    pub skip: u32,
    /// Its route; 0 in a model without routes.
    pub route: usize,
}

/// The texts of a batch and which of them stands where.
#[derive(Clone, Debug)]
pub(crate) struct TextBatch {
    /// Texts to encode.
    pub texts: Vec<Text>,
    /// For every column, for every row, the place in `texts`.
    pub columns: Vec<Vec<usize>>,
    /// The label of every row, if the data has labels.
    pub labels: Option<Vec<f32>>,
}

/// How the columns of a data set are read.
pub(crate) struct TextStore {
    /// One per column, with the column's route.
    prompts: Vec<Prompt>,
    /// Whether a batch encodes a text once however often it stands in it: right without dropout, where equal texts have equal
    /// embeddings. With dropout every place has its own mask, as upstream's have.
    unique: bool,
    /// Texts and tokens of all batches so far.
    texts_seen: usize,
    tokens_seen: usize,
}

impl TextStore {
    /// A store for `data`, as `model` will read it.
    pub fn new(
        model: &SentenceEncoder<Trainable>,
        data: &dyn Rows,
        config: &TrainConfig,
    ) -> Result<Self, ModelError> {
        let pipeline = model.pipeline();
        let prompt = |column: &String| {
            let text = config
                .prompts
                .as_ref()
                .and_then(|prompts| prompts.of(column));
            let choice = PromptChoice {
                task: config.task_of(column),
                ..PromptChoice::of_text(text.unwrap_or_default())
            };
            let route = pipeline.route_of(&choice)?;
            pipeline.prompt(&choice, pipeline.max_seq_length_of(route))
        };
        Ok(Self {
            prompts: data
                .columns()
                .iter()
                .map(prompt)
                .collect::<Result<_, _>>()?,
            unique: !model.folder().inputs.iter().any(|input| input.drops),
            texts_seen: 0,
            tokens_seen: 0,
        })
    }

    /// The texts of `rows`.
    pub fn batch(
        &mut self,
        pipeline: &Pipeline,
        data: &dyn Rows,
        rows: &[u32],
    ) -> Result<TextBatch, ModelError> {
        let width = self.prompts.len();
        let mut texts = Vec::with_capacity(width * rows.len());
        for (column, prompt) in self.prompts.iter().enumerate() {
            let of_column: Vec<&str> = rows
                .iter()
                .map(|&row| data.text(row as usize, column))
                .collect();
            let longest = pipeline.max_seq_length_of(prompt.route);
            let tokens = pipeline.tokenize(&of_column, prompt, longest)?;
            texts.extend(rows.iter().zip(tokens).map(|(&row, tokens)| Text {
                tokens,
                id: place_id(row, column, width),
                skip: prompt.skip,
                route: prompt.route,
            }));
        }
        self.texts_seen += texts.len();
        self.tokens_seen += texts.iter().map(|text| text.tokens.len()).sum::<usize>();
        let make: fn(Vec<Text>, usize) -> TextBatch = if self.unique {
            TextBatch::unique
        } else {
            TextBatch::every
        };
        let labels = rows.iter().map(|&row| data.label(row as usize)).collect();
        Ok(TextBatch {
            labels,
            ..make(texts, rows.len())
        })
    }

    /// Bytes that the pipeline's cache will hold of a data set of `rows` rows, of which those seen so far are typical, if it
    /// has `room` bytes.
    pub fn bytes(&self, rows: usize, room: usize) -> usize {
        let texts = (rows * self.prompts.len()) as f64;
        let tokens = self.tokens_seen as f64 / self.texts_seen.max(1) as f64;
        let per_text = tokens * size_of::<u32>() as f64 + BYTES_BESIDE_IDS as f64;
        (texts * per_text).min(room as f64) as usize
    }
}

fn place_id(row: u32, column: usize, width: usize) -> u64 {
    u64::from(row) * width as u64 + column as u64
}

impl TextBatch {
    /// Every place on its own; `texts` column after column.
    fn every(texts: Vec<Text>, rows: usize) -> Self {
        let columns = (0..texts.len())
            .collect::<Vec<_>>()
            .chunks(rows.max(1))
            .map(<[usize]>::to_vec)
            .collect();
        Self {
            texts,
            columns,
            labels: None,
        }
    }

    /// Equal texts once.
    fn unique(texts: Vec<Text>, rows: usize) -> Self {
        let mut known: HashMap<(Arc<[u32]>, u32, usize), usize> = HashMap::new();
        let mut kept: Vec<Text> = Vec::new();
        let places: Vec<usize> = texts
            .into_iter()
            .map(|text| {
                let identity = (text.tokens.ids.clone(), text.skip, text.route);
                *known.entry(identity).or_insert_with(|| {
                    kept.push(text);
                    kept.len() - 1
                })
            })
            .collect();
        let columns = places.chunks(rows.max(1)).map(<[usize]>::to_vec).collect();
        Self {
            texts: kept,
            columns,
            labels: None,
        }
    }

    /// Number of tokens that go through the encoder.
    pub fn tokens(&self) -> usize {
        self.texts.iter().map(|text| text.tokens.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(id: u64, ids: &[u32], skip: u32) -> Text {
        Text {
            tokens: Tokens {
                ids: ids.into(),
                types: None,
                truncated: false,
            },
            id,
            skip,
            route: 0,
        }
    }

    #[test]
    fn equal_texts_are_encoded_once() {
        let texts = [
            text(0, &[1, 2], 0),
            text(2, &[3], 0),
            text(1, &[3], 0),
            text(3, &[3], 1),
        ];
        let mut routed = texts.to_vec();
        routed[2].route = 1;
        assert_eq!(TextBatch::unique(routed.clone(), 2).texts, routed);
        let batch = TextBatch::unique(texts.to_vec(), 2);
        assert_eq!(batch.columns, [[0, 1], [1, 2]]);
        assert_eq!(
            batch.texts,
            [texts[0].clone(), texts[1].clone(), texts[3].clone()]
        );
        let batch = TextBatch::every(texts.to_vec(), 2);
        assert_eq!(batch.columns, [[0, 1], [2, 3]]);
        assert_eq!(batch.tokens(), 5);
    }
}
