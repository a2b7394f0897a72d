//! The peak memory of a run, predicted before it starts from everything that it is going to hold.
//!
//! What `python3 bench/memory.py` printed (batch 32, five widths, 2 threads, AVX-512), with the largest resident set as measured:
//!
//! | model | tokens_per_batch | retain | evaluates, saves | predicted | measured | error |
//! |---|---|---|---|---|---|---|
//! | minilm | 2048 | all | no | 940 MiB | 974 MiB | -3.5 % |
//! | minilm | 2048 | 1 | no | 562 MiB | 551 MiB | +2.0 % |
//! | minilm | 2048 | 0 | no | 562 MiB | 548 MiB | +2.6 % |
//! | minilm | 512 | all | no | 913 MiB | 948 MiB | -3.8 % |
//! | minilm | 512 | 0 | no | 344 MiB | 331 MiB | +3.9 % |
//! | minilm | 8192 | all | no | 987 MiB | 963 MiB | +2.5 % |
//! | minilm | 2048 | 0 | yes | 575 MiB | 556 MiB | +3.4 % |
//! | bert-base | 2048 | all | no | 4,249 MiB | 4,254 MiB | -0.1 % |
//! | bert-base | 2048 | 1 | no | 2,551 MiB | 2,536 MiB | +0.6 % |
//! | bert-base | 2048 | 0 | no | 2,551 MiB | 2,530 MiB | +0.8 % |
//! | bert-base | 512 | 0 | no | 1,732 MiB | 1,760 MiB | -1.6 % |
//! | bert-base | 8192 | all | no | 4,358 MiB | 4,317 MiB | +0.9 % |
//! | modernbert-base | 2048 | all | no | 5,682 MiB | 5,693 MiB | -0.2 % |
//! | xlm-roberta-base | 2048 | all | no | 4,892 MiB | 4,905 MiB | -0.3 % |
//! | roberta-base | 2048 | all | no | 4,307 MiB | 4,320 MiB | -0.3 % |
//! | mpnet-base | 2048 | all | no | 4,249 MiB | 4,262 MiB | -0.3 % |
//! | distilbert-base | 2048 | all | no | 2,264 MiB | 2,264 MiB | +0.0 % |
//! | electra-base | 2048 | all | no | 4,249 MiB | 4,261 MiB | -0.3 % |
//! | albert-base | 2048 | all | no | 2,953 MiB | 2,974 MiB | -0.7 % |
//! | ernie-base | 2048 | all | no | 4,249 MiB | 4,262 MiB | -0.3 % |
//! | t5-base | 2048 | all | no | 4,246 MiB | 4,271 MiB | -0.6 % |
//! | deberta-v2-base | 2048 | all | no | 4,547 MiB | 4,564 MiB | -0.4 % |
//!
//! With dropout, as these models have it, no text of a batch is left out. Not foreseen are batches of later epochs that are
//! longer than the longest of the first, what the allocator cannot give back, and pages larger than 4 KiB (transparent huge
//! pages that are on for all memory): then rows of the word table that no text reads take memory beside those that one reads.

use matryo_data::Rows;
use matryo_losses::Loss;
use matryo_model::{BatchSize, SentenceEncoder, TOKENS_PER_BATCH, Tensor, Trainable};

use crate::{
    TrainConfig, TrainError,
    gradient::{Gradient, PassMemory},
    measure::Measure,
    optimizer::keeps_the_untouched,
    texts::TextStore,
};

/// The program, its tables, and what the tokenizer takes besides [`BYTES_PER_WORD`].
const PROCESS: usize = 24 << 20;

/// What the tokenizer keeps for an entry of its vocabulary.
const BYTES_PER_WORD: usize = 400;

/// A thread's stack and packed rows.
const THREAD: usize = 2 << 20;

/// Rows of the data whose batches are tried. They are tokenized for it, and stay so.
const ROWS_TRIED: usize = 10_000;

/// Bytes that most systems give memory in.
const PAGE: usize = 4096;

/// A thread's scores of an evaluation.
const SCORES: usize = 4 << 20;

/// Bytes that a run is expected to hold at its peak, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryPlan {
    /// The program, the tokenizer, threads.
    pub process: usize,
    /// Training and evaluation data, texts and token ids.
    pub texts: usize,
    /// All parameters.
    pub parameters: usize,
    /// Gradients, and the optimizer's two moments; rows of the word table that no text reads take no memory.
    pub optimizer: usize,
    /// Activations of the largest batch that are kept at a time.
    pub activations: usize,
    /// What a forward and backward use besides.
    pub working: usize,
    /// What an evaluation holds besides, or saving a checkpoint if that is more.
    pub evaluation: usize,
}

/// What the plan is made of.
pub(crate) struct Subject<'a> {
    pub config: &'a TrainConfig,
    pub model: &'a SentenceEncoder<Trainable>,
    pub data: &'a dyn Rows,
    pub loss: &'a dyn Loss,
    pub measure: Option<&'a Measure>,
    /// Batches of the first epoch that are trained on.
    pub batches: &'a [Vec<u32>],
}

impl MemoryPlan {
    /// All of it.
    pub fn total(&self) -> usize {
        let held = [
            self.process,
            self.texts,
            self.parameters,
            self.optimizer,
            self.activations,
            self.working,
        ];
        held.iter().sum::<usize>() + self.evaluation
    }
}

/// Plans the memory of a run. `texts` is the run's own store: what is tokenized here need not be later.
pub(crate) fn plan(subject: &Subject<'_>, texts: &mut TextStore) -> Result<MemoryPlan, TrainError> {
    let layout = &subject.model.network().params().layout;
    let mut rows_read = RowsRead::new(subject);
    let pass = largest_pass(subject, texts, &mut rows_read)?;
    let threads = rayon::current_num_threads();
    Ok(MemoryPlan {
        process: PROCESS + vocabulary(subject.model) * BYTES_PER_WORD + threads * THREAD,
        texts: texts.bytes(subject.data.len(), subject.model.pipeline().token_room())
            + text_bytes(subject),
        parameters: layout.len() * size_of::<f32>(),
        optimizer: optimizer(subject, &rows_read),
        activations: pass.kept,
        working: pass.working,
        evaluation: subject
            .measure
            .map_or(0, |measure| evaluation(subject, measure, threads, pass)),
    })
}

/// Entries of the vocabularies of all routes.
fn vocabulary(model: &SentenceEncoder<Trainable>) -> usize {
    let routes = 0..model.network().routes();
    let sizes = routes.map(|route| model.pipeline().tokenizer_of(route).vocab_size());
    sizes.sum()
}

/// The batches of the first epoch as they will be cut: the most that one of them keeps, and the most that one uses.
fn largest_pass(
    subject: &Subject<'_>,
    texts: &mut TextStore,
    rows_read: &mut RowsRead,
) -> Result<PassMemory, TrainError> {
    let gradient = Gradient::new(subject.model.network(), subject.loss, subject.config);
    let mut largest = PassMemory::default();
    for rows in subject.batches {
        if rows_read.of_data >= ROWS_TRIED {
            break;
        }
        let batch = texts.batch(subject.model.pipeline(), subject.data, rows)?;
        rows_read.of_data += rows.len();
        for text in &batch.texts {
            text.tokens
                .ids
                .iter()
                .for_each(|id| rows_read.read(text.route, *id));
        }
        let pass = gradient.memory(&batch);
        largest = PassMemory {
            kept: largest.kept.max(pass.kept),
            working: largest.working.max(pass.working),
        };
    }
    Ok(largest)
}

/// What the batches that were tried have read.
struct RowsRead {
    of_data: usize,
    /// One per word table that is trained.
    tables: Vec<TableRead>,
}

/// Which rows of a word table were read.
struct TableRead {
    /// The route whose tokens are its rows; `None` for those of all.
    route: Option<usize>,
    cols: usize,
    rows: Vec<bool>,
}

impl RowsRead {
    fn new(subject: &Subject<'_>) -> Self {
        let tables = subject.model.network().word_tables().into_iter();
        let table = |(route, table): (Option<usize>, Tensor)| TableRead {
            route,
            cols: table.cols,
            rows: vec![false; table.rows],
        };
        Self {
            of_data: 0,
            tables: tables.map(table).collect(),
        }
    }

    /// Notes a token of a text of a route.
    fn read(&mut self, route: usize, id: u32) {
        for table in &mut self.tables {
            let reads = table.route.is_none_or(|own| own == route);
            if let Some(read) = table.rows.get_mut(id as usize).filter(|_| reads) {
                *read = true;
            }
        }
    }
}

impl TableRead {
    /// Bytes of a row.
    fn row(&self) -> usize {
        self.cols * size_of::<f32>()
    }

    /// Bytes of the pages on which the rows that were read lie.
    fn bytes(&self) -> usize {
        let row = self.row();
        let (mut pages, mut next) = (0, 0);
        for (id, _) in self.rows.iter().enumerate().filter(|(_, read)| **read) {
            let (first, end) = (id * row / PAGE, ((id + 1) * row).div_ceil(PAGE));
            pages += end - first.max(next).min(end);
            next = end;
        }
        pages * PAGE
    }

    /// Bytes of the table that a run over `trained` rows of data does not read, if the `tried` rows that were looked at read these.
    /// What was not tried is expected to read new rows with the root of its length (Heaps' law as in English text).
    fn unread_bytes(&self, tried: usize, trained: usize) -> usize {
        let growth = (trained as f64 / tried.max(1) as f64).max(1.0).sqrt();
        let bytes = (self.bytes() as f64 * growth) as usize;
        (self.rows.len() * self.row()).saturating_sub(bytes)
    }
}

/// Gradients and both moments. What is never written is never committed: rows of the word table that no text reads, of the
/// gradient always, of the moments unless the update moves them nevertheless.
fn optimizer(subject: &Subject<'_>, read: &RowsRead) -> usize {
    let network = subject.model.network();
    let all = network.params().layout.grad_len() * size_of::<f32>();
    let trained: usize = subject.batches.iter().map(Vec::len).sum();
    let tables = read.tables.iter();
    let unread: usize = tables
        .map(|table| table.unread_bytes(read.of_data, trained))
        .sum();
    let spared = if keeps_the_untouched(subject.config) {
        3
    } else {
        1
    };
    3 * all - spared * unread
}

/// The texts of training and evaluation as they were read, and the ids of the latter.
fn text_bytes(subject: &Subject<'_>) -> usize {
    let data = subject.data;
    let row = |row: usize| {
        (0..data.columns().len())
            .map(|column| data.text(row, column).len())
            .sum::<usize>()
    };
    (0..data.len()).map(row).sum::<usize>()
        + subject.measure.map_or(0, |measure| 2 * measure.text_bytes)
}

/// Embeddings of queries and of the documents at a time, scores and packed weights of every thread, and batches under way, as far
/// as they find no buffer of training to use.
fn evaluation(subject: &Subject<'_>, measure: &Measure, threads: usize, pass: PassMemory) -> usize {
    let network = subject.model.network();
    let embeddings =
        (measure.queries + measure.documents_at_once()) * network.dim() * size_of::<f32>();
    let of_route = |route| {
        network.embed_bytes(BatchSize {
            tokens: TOKENS_PER_BATCH,
            texts: 1,
            longest: TOKENS_PER_BATCH,
            route,
        })
    };
    let largest = (0..network.routes()).map(of_route).max();
    let batches = threads * largest.unwrap_or(0);
    let weights = (threads - 1) * network.packed_bytes(0);
    embeddings + threads * SCORES + weights + batches.saturating_sub(pass.kept + pass.working)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of rows of `row` bytes, of which these were read.
    fn table(rows: usize, row: usize, ids: &[u32]) -> TableRead {
        let mut read = RowsRead {
            of_data: 0,
            tables: vec![TableRead {
                route: Some(1),
                cols: row / size_of::<f32>(),
                rows: vec![false; rows],
            }],
        };
        ids.iter().for_each(|id| read.read(1, *id));
        // Those of another route are rows of another table.
        (0..rows as u32).for_each(|id| read.read(0, id));
        read.tables.remove(0)
    }

    #[test]
    fn rows_are_counted_by_the_pages_on_which_they_lie() {
        // Rows of three eighths of a page: rows 2, 5 and 7 begin on one page and end on the next.
        let row = 3 * PAGE / 8;
        assert_eq!(table(100, row, &[]).bytes(), 0);
        assert_eq!(table(100, row, &[0, 1, 0]).bytes(), PAGE);
        assert_eq!(table(100, row, &[2]).bytes(), 2 * PAGE);
        assert_eq!(table(100, row, &[0, 2, 3]).bytes(), 2 * PAGE);
        assert_eq!(table(100, row, &[0, 48]).bytes(), 2 * PAGE);
        // A token beyond the table is refused elsewhere.
        assert_eq!(table(100, row, &[100]).bytes(), 0);
    }

    #[test]
    fn what_was_not_tried_reads_new_rows_ever_more_slowly() {
        let read = table(1000, PAGE, &(0..100).collect::<Vec<_>>());
        assert_eq!(read.unread_bytes(50, 50), 900 * PAGE);
        assert_eq!(read.unread_bytes(50, 200), 800 * PAGE);
        assert_eq!(read.unread_bytes(50, 500_000), 0);
        // A run without data.
        assert_eq!(table(10, PAGE, &[]).unread_bytes(0, 0), 10 * PAGE);
    }
}
