//! Training texts as token ids: prompts put in front, tokenized once, kept across epochs while there is room.

use std::{collections::HashMap, sync::Arc};

use matryo_data::Rows;
use matryo_model::{ModelError, SentenceEncoder, Tokenizer};

use crate::config::Prompts;

/// Tokens that are kept, 128 MiB of ids; texts beyond are tokenized again each epoch.
const ROOM: usize = 32 << 20;

/// What a kept text costs besides its ids: entry of the map with its spare room, counts, and the allocator's share.
const BYTES_BESIDE_IDS: usize = 96;

/// One text to encode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// Token ids.
    pub ids: Arc<[u32]>,
    /// Its name for dropout: of its row and column, whatever the batch.
    pub id: u64,
    /// Leading tokens that pooling leaves out.
    pub skip: u32,
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

/// A prompt before the texts of one column.
struct ColumnPrompt {
    text: String,
    skip: u32,
}

/// Token ids of all texts of a data set.
pub(crate) struct TextStore {
    prompts: Vec<ColumnPrompt>,
    max_seq_length: usize,
    /// Whether a batch encodes a text once however often it stands in it: right without dropout, where equal texts have equal
    /// embeddings; with it, every place has its own mask, as upstream's have.
    unique: bool,
    /// By row and column.
    kept: HashMap<u64, Arc<[u32]>>,
    room: usize,
}

impl TextStore {
    /// An empty store for `data`, as `model` will read it.
    pub fn new(
        model: &SentenceEncoder,
        data: &dyn Rows,
        prompts: Option<&Prompts>,
    ) -> Result<Self, ModelError> {
        let max_seq_length = model.max_seq_length();
        let prompt = |column: &String| {
            let text = prompts
                .and_then(|prompts| prompts.of(column))
                .unwrap_or_default();
            let counts = text.is_empty() || model.folder().pooling.include_prompt;
            let skip = if counts {
                0
            } else {
                model.tokenizer().prompt_len(text, max_seq_length)?
            };
            Ok(ColumnPrompt {
                text: text.to_owned(),
                skip: u32::try_from(skip).expect("a prompt of fewer tokens"),
            })
        };
        let prompts = data
            .columns()
            .iter()
            .map(prompt)
            .collect::<Result<_, ModelError>>()?;
        let spec = model.encoder().spec();
        let unique = spec.hidden_dropout == 0.0 && spec.attention_dropout == 0.0;
        Ok(Self {
            prompts,
            max_seq_length,
            unique,
            kept: HashMap::new(),
            room: ROOM,
        })
    }

    /// The texts of `rows`.
    pub fn batch(
        &mut self,
        tokenizer: &Tokenizer,
        data: &dyn Rows,
        rows: &[u32],
    ) -> Result<TextBatch, ModelError> {
        let width = self.prompts.len();
        let places: Vec<(u32, usize)> = (0..width)
            .flat_map(|c| rows.iter().map(move |&row| (row, c)))
            .collect();
        let ids = self.ids(tokenizer, data, &places)?;
        let texts = places.iter().zip(ids).map(|(&(row, column), ids)| Text {
            ids,
            id: place_id(row, column, width),
            skip: self.prompts[column].skip,
        });
        let texts: Vec<Text> = texts.collect();
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

    /// Bytes of the ids of a data set of `rows` rows, of which those that were asked for so far are typical.
    pub fn bytes(&self, rows: usize) -> usize {
        let texts = self.kept.len().max(1);
        let tokens = (ROOM - self.room) as f64 / texts as f64 * (rows * self.prompts.len()) as f64;
        let share = tokens.min(ROOM as f64) / tokens.max(1.0);
        let kept = (rows * self.prompts.len()) as f64 * share;
        (tokens * share) as usize * size_of::<u32>() + kept as usize * BYTES_BESIDE_IDS
    }

    fn ids(
        &mut self,
        tokenizer: &Tokenizer,
        data: &dyn Rows,
        places: &[(u32, usize)],
    ) -> Result<Vec<Arc<[u32]>>, ModelError> {
        let width = self.prompts.len();
        let kept =
            |&(row, column): &(u32, usize)| self.kept.get(&place_id(row, column, width)).cloned();
        let mut found: Vec<Option<Arc<[u32]>>> = places.iter().map(kept).collect();
        let missing: Vec<usize> = (0..places.len()).filter(|&i| found[i].is_none()).collect();
        let texts: Vec<String> = missing
            .iter()
            .map(|&i| self.full_text(data, places[i]))
            .collect();
        for (&i, tokens) in missing
            .iter()
            .zip(tokenizer.encode_batch(&texts, self.max_seq_length)?)
        {
            let ids: Arc<[u32]> = tokens.ids.into();
            self.keep(place_id(places[i].0, places[i].1, width), &ids);
            found[i] = Some(ids);
        }
        Ok(found.into_iter().flatten().collect())
    }

    fn full_text(&self, data: &dyn Rows, (row, column): (u32, usize)) -> String {
        format!(
            "{}{}",
            self.prompts[column].text,
            data.text(row as usize, column)
        )
    }

    fn keep(&mut self, place: u64, ids: &Arc<[u32]>) {
        if ids.len() <= self.room {
            self.room -= ids.len();
            self.kept.insert(place, ids.clone());
        }
    }
}

fn place_id(row: u32, column: usize, width: usize) -> u64 {
    u64::from(row) * width as u64 + column as u64
}

impl TextBatch {
    /// Every place for itself; `texts` column after column.
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
        let mut known: HashMap<(Arc<[u32]>, u32), usize> = HashMap::new();
        let mut kept: Vec<Text> = Vec::new();
        let places: Vec<usize> = texts
            .into_iter()
            .map(|text| {
                *known
                    .entry((text.ids.clone(), text.skip))
                    .or_insert_with(|| {
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
        self.texts.iter().map(|text| text.ids.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(id: u64, ids: &[u32], skip: u32) -> Text {
        Text {
            ids: ids.into(),
            id,
            skip,
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
