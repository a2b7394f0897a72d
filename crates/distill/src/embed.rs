//! Each token alone through the encoder.

use matryo_base::Progress;
use matryo_model::{SentenceEncoder, TOKENS_PER_BATCH, TokenBatch, batches};
use matryo_ops::Mat;

use crate::DistillError;

/// The mean of the hidden states of each input, special tokens included, `[inputs, width]`; what is not finite is 0.
pub(crate) fn tokens(
    model: &SentenceEncoder,
    inputs: &[Vec<u32>],
    progress: Progress<'_>,
) -> Result<Mat, DistillError> {
    let lengths: Vec<usize> = inputs.iter().map(Vec::len).collect();
    let (mut all, mut done) = (None, 0);
    for places in batches(&lengths, TOKENS_PER_BATCH) {
        let mut batch = TokenBatch::on_route(model.folder().default_or_first());
        for &place in &places {
            batch.push(&inputs[place], place as u64, 0);
        }
        let features = model.network().features(&batch, false);
        let hidden = features.tokens().ok_or_else(|| DistillError::NoTokens {
            folder: model.folder().path.clone(),
        })?;
        let all = all.get_or_insert_with(|| Mat::zeros(inputs.len(), hidden.cols()));
        for (bounds, &place) in batch.bounds.windows(2).zip(&places) {
            let rows = hidden.row_range(bounds[0] as usize, bounds[1] as usize);
            let mean = all.row_mut(place);
            for r in 0..rows.rows() {
                let values = mean.iter_mut().zip(rows.row(r));
                values.for_each(|(mean, value)| *mean += value / rows.rows() as f32);
            }
            for value in mean.iter_mut().filter(|value| !value.is_finite()) {
                *value = 0.0;
            }
        }
        done += places.len();
        progress.advance(done, inputs.len());
    }
    all.ok_or(DistillError::Empty)
}
