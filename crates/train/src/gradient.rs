//! The gradient of one batch: the loss always sees all of it, the encoder as many tokens at a time as memory allows.
//!
//! Pass 1 embeds every micro-batch and keeps the activations of the first `retain`; pass 2 goes back through them and computes
//! those that were dropped again (Gao et al. 2021, GradCache, is `retain = 0`). Both passes visit the micro-batches in one
//! order, so that `retain` changes no bit of the result; another token budget cuts other micro-batches and agrees to rounding.

use std::sync::Arc;

use matryo_losses::{Loss, LossBatch};
use matryo_model::{Activations, Encoder, Grads, TokenBatch};
use matryo_ops::Mat;

use crate::texts::TextBatch;

/// How gradients are computed.
pub(crate) struct Gradient<'a> {
    pub encoder: &'a Encoder,
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

impl Gradient<'_> {
    /// Adds `scale` times the gradient of the batch's loss to `grads` and returns the loss, unscaled.
    pub fn accumulate(&self, batch: &TextBatch, seed: u64, scale: f64, grads: &mut Grads) -> f64 {
        let plan = cut(batch, self.tokens_per_batch);
        let (embeddings, mut kept) = self.embed(&plan, batch.texts.len(), seed);
        let (loss, d_embeddings) = self.eval_loss(batch, &embeddings, seed, scale);
        for (index, micro) in plan.iter().enumerate() {
            let activations = kept[index].take().unwrap_or_else(|| self.encoder.forward(micro.tokens.clone(), seed).1);
            let d = gather(&d_embeddings, &micro.places);
            self.encoder.backward(activations, d.view(), grads);
        }
        loss
    }

    /// Pass 1: the embedding of every text, and the activations that are kept.
    fn embed(&self, plan: &[MicroBatch], texts: usize, seed: u64) -> (Mat, Vec<Option<Activations>>) {
        let mut embeddings = Mat::zeros(texts, self.encoder.dim());
        let mut kept = Vec::with_capacity(plan.len());
        for (index, micro) in plan.iter().enumerate() {
            let (rows, activations) = self.encoder.forward(micro.tokens.clone(), seed);
            for (i, &place) in micro.places.iter().enumerate() {
                embeddings.row_mut(place).copy_from_slice(rows.row(i));
            }
            kept.push((index < self.retain).then_some(activations));
        }
        (embeddings, kept)
    }

    /// The loss, and the scaled gradient with respect to the embedding of every text: the sum over all its places.
    fn eval_loss(&self, batch: &TextBatch, embeddings: &Mat, seed: u64, scale: f64) -> (f64, Mat) {
        let columns: Vec<Mat> = batch.columns.iter().map(|places| gather(embeddings, places)).collect();
        let views: Vec<_> = columns.iter().map(Mat::view).collect();
        let output = self.loss.eval(&**self.encoder.ops(), &LossBatch { columns: &views, seed });
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

/// Sorted by length, so that a micro-batch holds texts of about one length, and cut by tokens.
fn cut(batch: &TextBatch, tokens_per_batch: usize) -> Vec<MicroBatch> {
    let mut order: Vec<usize> = (0..batch.texts.len()).collect();
    order.sort_by_key(|&place| (std::cmp::Reverse(batch.texts[place].ids.len()), place));
    let mut plan: Vec<(Vec<usize>, TokenBatch)> = Vec::new();
    for place in order {
        let text = &batch.texts[place];
        let fits = |open: &&mut (Vec<usize>, TokenBatch)| open.1.tokens() + text.ids.len() <= tokens_per_batch;
        if plan.last_mut().filter(fits).is_none() {
            plan.push((Vec::new(), TokenBatch::new()));
        }
        if let Some((places, tokens)) = plan.last_mut() {
            places.push(place);
            tokens.push(&text.ids, text.id, text.skip);
        }
    }
    plan.into_iter().map(|(places, tokens)| MicroBatch { places, tokens: Arc::new(tokens) }).collect()
}

fn gather(rows: &Mat, places: &[usize]) -> Mat {
    let data = places.iter().flat_map(|&place| rows.row(place).iter().copied()).collect();
    Mat::from_vec(places.len(), rows.cols(), data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::Text;

    #[test]
    fn micro_batches_hold_every_text_once_within_the_budget() {
        let lengths = [3_usize, 9, 1, 4, 4, 12];
        let text = |(id, &len): (usize, &usize)| Text { ids: vec![7; len].into(), id: id as u64, skip: 0 };
        let batch = TextBatch { texts: lengths.iter().enumerate().map(text).collect(), columns: Vec::new() };
        let plan = cut(&batch, 10);
        let places: Vec<_> = plan.iter().map(|micro| micro.places.clone()).collect();
        assert_eq!(places, [vec![5], vec![1], vec![3, 4], vec![0, 2]]);
        assert_eq!(plan[2].tokens.text_ids, [3, 4]);
        assert!(plan.iter().skip(1).all(|micro| micro.tokens.tokens() <= 10));
    }
}
