//! The gradient of one batch: the loss always sees all of it, the encoder as many tokens at a time as memory allows.
//!
//! Pass 1 embeds every micro-batch and keeps the activations of the first `retain`; pass 2 goes back through them and computes
//! those that were dropped again (Gao et al. 2021, GradCache, is `retain = 0`). Both passes visit the micro-batches in one
//! order, so that `retain` changes no bit of the result; another token budget cuts other micro-batches and agrees to rounding.

use std::sync::Arc;

use matryo_losses::{Loss, LossBatch};
use matryo_model::{Activations, BatchSize, Grads, Network, TokenBatch, Trainable, batches};
use matryo_ops::Mat;

use crate::{TrainConfig, texts::TextBatch};

/// How gradients are computed.
pub(crate) struct Gradient<'a> {
    pub network: &'a Network<Trainable>,
    pub loss: &'a dyn Loss,
    /// Most tokens that go through the encoder at once; a longer text goes alone.
    pub tokens_per_batch: usize,
    /// Micro-batches that keep their activations.
    pub retain: usize,
}

/// Texts that go through the encoder together.
struct MicroBatch {
    /// Their places in [`TextBatch::texts`].
    places: Vec<usize>,
    tokens: Arc<TokenBatch>,
}

/// Bytes of one batch on its way through the encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PassMemory {
    /// Activations.
    pub kept: usize,
    /// What is used beside them.
    pub working: usize,
}

impl<'a> Gradient<'a> {
    /// As the settings of a run want it.
    pub fn new(network: &'a Network<Trainable>, loss: &'a dyn Loss, config: &TrainConfig) -> Self {
        Self {
            network,
            loss,
            tokens_per_batch: config.tokens_per_batch,
            retain: config.retain.count(),
        }
    }

    /// Adds `scale` times the gradient of the batch's loss to `grads` and returns the loss, unscaled.
    pub fn accumulate(&self, batch: &TextBatch, seed: u64, scale: f64, grads: &mut Grads) -> f64 {
        let plan = cut(batch, self.tokens_per_batch);
        let (embeddings, mut kept) = self.embed(&plan, batch.texts.len(), seed);
        let (loss, d_embeddings) = self.eval_loss(batch, &embeddings, seed, scale);
        for (index, micro) in plan.iter().enumerate() {
            let activations = kept[index]
                .take()
                .unwrap_or_else(|| self.network.forward(micro.tokens.clone(), seed).1);
            let d = gather(&d_embeddings, &micro.places);
            self.network.backward(activations, d.view(), grads);
        }
        loss
    }

    /// The most that [`Gradient::accumulate`] holds at a time.
    pub fn memory(&self, batch: &TextBatch) -> PassMemory {
        let plan = cut(batch, self.tokens_per_batch);
        let kept = |micro: &MicroBatch| self.network.kept_bytes(BatchSize::of(&micro.tokens));
        let retained: usize = plan.iter().take(self.retain).map(kept).sum();
        // One at a time, when those that were retained are gone.
        let again = plan.iter().skip(self.retain).map(kept).max().unwrap_or(0);
        let working = |micro: &MicroBatch| {
            let size = BatchSize::of(&micro.tokens);
            self.network.working_bytes(size)
                + self.network.packed_bytes(size.tokens)
                + self
                    .network
                    .scratch_bytes(size, rayon::current_num_threads())
        };
        let pass = plan.iter().map(working).max().unwrap_or(0);
        PassMemory {
            kept: retained.max(again),
            working: pass.max(self.loss_bytes(batch)),
        }
    }

    /// Scores of every row's first text with the others of all rows, and embeddings in the forms that a loss makes of them:
    /// the columns, stacked, scaled, and the gradients of these.
    fn loss_bytes(&self, batch: &TextBatch) -> usize {
        let (columns, rows) = (
            batch.columns.len(),
            batch.columns.first().map_or(0, Vec::len),
        );
        let (scores, embeddings) = (
            rows * rows * columns.saturating_sub(1),
            columns * rows * self.network.dim(),
        );
        (scores + 6 * embeddings) * size_of::<f32>()
    }

    /// Pass 1: the embedding of every text, and the activations that are kept.
    fn embed(
        &self,
        plan: &[MicroBatch],
        texts: usize,
        seed: u64,
    ) -> (Mat, Vec<Option<Activations>>) {
        let mut embeddings = Mat::zeros(texts, self.network.dim());
        let mut kept = Vec::with_capacity(plan.len());
        for (index, micro) in plan.iter().enumerate() {
            let (rows, activations) = self.embed_one(micro, index < self.retain, seed);
            for (i, &place) in micro.places.iter().enumerate() {
                embeddings.row_mut(place).copy_from_slice(rows.row(i));
            }
            kept.push(activations);
        }
        (embeddings, kept)
    }

    fn embed_one(&self, micro: &MicroBatch, keep: bool, seed: u64) -> (Mat, Option<Activations>) {
        if !keep {
            return (self.network.embed_in_training(&micro.tokens, seed), None);
        }
        let (rows, activations) = self.network.forward(micro.tokens.clone(), seed);
        (rows, Some(activations))
    }

    /// The loss, and the scaled gradient with respect to the embedding of every text: the sum over all its places.
    fn eval_loss(&self, batch: &TextBatch, embeddings: &Mat, seed: u64, scale: f64) -> (f64, Mat) {
        let columns: Vec<Mat> = batch
            .columns
            .iter()
            .map(|places| gather(embeddings, places))
            .collect();
        let views: Vec<_> = columns.iter().map(Mat::view).collect();
        let labels = batch.labels.as_deref();
        let output = self.loss.eval(
            &**self.network.ops(),
            &LossBatch {
                columns: &views,
                labels,
                seed,
            },
        );
        let mut d = Mat::zeros(embeddings.rows(), embeddings.cols());
        for (places, d_column) in batch.columns.iter().zip(&output.d_columns) {
            for (row, &place) in places.iter().enumerate() {
                let pairs = d.row_mut(place).iter_mut().zip(d_column.row(row));
                pairs.for_each(|(sum, value)| *sum += value * scale as f32);
            }
        }
        (output.value, d)
    }
}

/// Micro-batches of texts of one route and about one length.
fn cut(batch: &TextBatch, tokens_per_batch: usize) -> Vec<MicroBatch> {
    let routes = batch.texts.iter().map(|text| text.route + 1).max();
    let mut plan = Vec::new();
    for route in 0..routes.unwrap_or(0) {
        let texts = batch.texts.iter().enumerate();
        let (of_route, lengths): (Vec<usize>, Vec<usize>) = texts
            .filter(|(_, text)| text.route == route)
            .map(|(place, text)| (place, text.tokens.len()))
            .unzip();
        for cut in batches(&lengths, tokens_per_batch) {
            let places = cut.into_iter().map(|i| of_route[i]).collect();
            plan.push(MicroBatch::of(batch, places, route));
        }
    }
    plan
}

impl MicroBatch {
    fn of(batch: &TextBatch, places: Vec<usize>, route: usize) -> Self {
        let mut tokens = TokenBatch::on_route(route);
        for &place in &places {
            let text = &batch.texts[place];
            text.tokens.push_to(&mut tokens, text.id, text.skip);
        }
        Self {
            places,
            tokens: Arc::new(tokens),
        }
    }
}

fn gather(rows: &Mat, places: &[usize]) -> Mat {
    let data = places
        .iter()
        .flat_map(|&place| rows.row(place).iter().copied())
        .collect();
    Mat::from_vec(places.len(), rows.cols(), data)
}

#[cfg(test)]
mod tests {
    use matryo_model::{SentenceEncoder, Tokens};

    use super::*;
    use crate::texts::Text;

    fn batch(lengths: &[usize]) -> TextBatch {
        let text = |(id, &len): (usize, &usize)| Text {
            tokens: Tokens {
                ids: vec![7; len].into(),
                types: None,
                truncated: false,
            },
            id: id as u64,
            skip: 0,
            route: 0,
        };
        TextBatch {
            texts: lengths.iter().enumerate().map(text).collect(),
            columns: Vec::new(),
            labels: None,
        }
    }

    /// Micro-batches of 12, 9, 8 and 4 tokens: what is retained, or one of those that are computed again if that is more.
    #[test]
    fn memory_is_that_of_what_is_kept_at_a_time() {
        let model =
            SentenceEncoder::open_for_training(matryo_testkit::tiny_bert(), matryo_ops::cpu(), &[])
                .unwrap();
        let network = model.network();
        let loss = matryo_losses::MultipleNegativesRankingLoss::default();
        let kept = |retain| {
            let gradient = Gradient {
                network,
                loss: &loss,
                tokens_per_batch: 10,
                retain,
            };
            gradient.memory(&batch(&[3, 9, 1, 4, 4, 12])).kept
        };
        let sizes = [(12, 1), (9, 1), (8, 2), (4, 2)].map(|(tokens, texts)| {
            network.kept_bytes(BatchSize {
                tokens,
                texts,
                longest: tokens / texts,
                route: 0,
            })
        });
        assert_eq!(kept(0), sizes[0]);
        assert_eq!(kept(1), sizes[0]);
        assert_eq!(kept(2), sizes[0] + sizes[1]);
        assert_eq!(kept(usize::MAX), sizes.iter().sum::<usize>());
    }

    #[test]
    fn micro_batches_hold_every_text_once_within_the_budget() {
        let plan = cut(&batch(&[3, 9, 1, 4, 4, 12]), 10);
        let places: Vec<_> = plan.iter().map(|micro| micro.places.clone()).collect();
        assert_eq!(places, [vec![5], vec![1], vec![3, 4], vec![0, 2]]);
        assert_eq!(plan[2].tokens.text_ids, [3, 4]);
        assert!(plan.iter().skip(1).all(|micro| micro.tokens.tokens() <= 10));
    }

    #[test]
    fn a_micro_batch_has_one_route() {
        let mut batch = batch(&[3, 4, 4, 5]);
        batch.texts[1].route = 1;
        batch.texts[3].route = 1;
        let plan = cut(&batch, 100);
        let found: Vec<_> = plan
            .iter()
            .map(|micro| (micro.tokens.route, micro.places.clone()))
            .collect();
        assert_eq!(found, [(0, vec![2, 0]), (1, vec![3, 1])]);
    }
}
