//! The encoder: embeddings, blocks, and possibly a normalisation at the end.
//!
//! Below the lowest parameter that is trained nothing is kept and nothing goes backward.

use matryo_ops::Mat;

use super::{
    block::{Block, KeptBlock},
    embeddings::{Embeddings, KeptEmbeddings},
    norm::{Norm, STATS},
    params::EncoderBuilder,
};
use crate::{
    BatchSize, EncoderSpec, Family, NnError,
    arena::{self, Buffer},
    dropout::Site,
    families::{Axis, ParamId},
    features::{LayerGradients, LayerStates},
    pass::{Backward, Pass},
    weights::Builder,
};

/// A whole encoder.
#[derive(Debug)]
pub(crate) struct Encoder {
    dim: usize,
    max_tokens: usize,
    drops: bool,
    embeddings: Embeddings,
    blocks: Vec<Block>,
    final_norm: Option<Norm>,
    /// Rate on the last hidden states.
    dropout: f32,
    trained: Trained,
    /// Index of the first hidden state that a later module reads, besides the last.
    states_from: Option<usize>,
}

/// What of an encoder is trained.
#[derive(Clone, Copy, Debug)]
struct Trained {
    embeddings: bool,
    /// The lowest block that keeps something: 0 if the embeddings are trained, the number of blocks if no block is.
    lowest: usize,
    final_norm: bool,
}

/// What a forward gives.
pub(crate) struct EncoderOutput {
    /// Last hidden state `[t, dim]`.
    pub(crate) hidden: Buffer,
    /// The states before it and before the final normalisation, if the pass wants them: the output of the embeddings and of every
    /// block.
    pub(crate) taps: Vec<Mat>,
    /// The hidden states that a later module reads.
    pub(crate) layers: Option<LayerStates>,
    /// What the backward needs.
    pub(crate) kept: Option<KeptEncoder>,
}

/// Hidden states on their way out, besides the last.
struct Recorder {
    taps: Option<Vec<Mat>>,
    layers: Option<LayerStates>,
    next: usize,
}

impl Recorder {
    /// Notes the next hidden state of an encoder of `blocks` blocks.
    fn note(&mut self, pass: &Pass<'_>, x: &Buffer, blocks: usize) {
        if let Some(taps) = &mut self.taps {
            taps.push(x.view().to_mat());
        }
        // The last one is noted behind the final normalisation.
        if let Some(layers) = &mut self.layers
            && (layers.first..blocks).contains(&self.next)
        {
            layers.states.push(pass.arena.copy(x));
        }
        self.next += 1;
    }
}

/// What the backward needs.
pub(crate) struct KeptEncoder {
    /// `None` if the embeddings are frozen.
    embeddings: Option<KeptEmbeddings>,
    /// Input of the lowest block that is trained, if its backward needs it.
    input: Option<Buffer>,
    /// From the lowest block that is trained upwards.
    blocks: Vec<KeptBlock>,
    /// Input of the final normalisation and the statistics of its rows.
    last: Option<(Buffer, Buffer)>,
}

impl Encoder {
    /// Builds an encoder from the present module of `builder`.
    pub(crate) fn build(
        builder: &mut Builder<'_>,
        family: &'static Family,
        spec: &EncoderSpec,
    ) -> Result<Self, NnError> {
        let one_placement = spec
            .blocks
            .windows(2)
            .all(|pair| pair[0].placement == pair[1].placement);
        assert!(one_placement, "blocks of one placement");
        let mut builder = EncoderBuilder::new(builder, family)?;
        let start = builder.inner().layout().entries.len();
        let embeddings = Embeddings::build(
            &mut builder,
            &spec.embeddings,
            spec.dim,
            spec.dropout.embeddings,
        )?;
        let mut ends = vec![builder.inner().layout().entries.len()];
        let mut blocks = Vec::with_capacity(spec.blocks.len());
        for (index, block) in spec.blocks.iter().enumerate() {
            let block = Block::build(&mut builder, index, block, spec.dim, &spec.dropout)?;
            blocks.push(block);
            ends.push(builder.inner().layout().entries.len());
        }
        let final_norm =
            builder.norm(ParamId::FinalNorm, spec.final_norm, (Axis::Dim, spec.dim))?;
        let layout = builder.inner().layout();
        let trains_embeddings = layout.trains(start..ends[0]);
        let first = ends
            .windows(2)
            .position(|block| layout.trains(block[0]..block[1]));
        let trained = Trained {
            embeddings: trains_embeddings,
            lowest: if trains_embeddings {
                0
            } else {
                first.unwrap_or(blocks.len())
            },
            final_norm: layout.trains(ends[blocks.len()]..layout.entries.len()),
        };
        Ok(Self {
            dim: spec.dim,
            max_tokens: spec.max_tokens,
            drops: !spec.dropout.is_none(),
            embeddings,
            blocks,
            final_norm,
            dropout: spec.dropout.last,
            trained,
            states_from: builder.inner().states_from(),
        })
    }

    /// The hidden states, and with `keep` what the backward needs.
    ///
    /// Panics on a text that is longer than the longest input.
    pub(crate) fn forward(&self, pass: &Pass<'_>, keep: bool) -> EncoderOutput {
        let longest = pass.places.iter().max().map_or(0, |&p| p as usize + 1);
        assert!(
            longest <= self.max_tokens,
            "a text of {longest} tokens, at most {} are possible",
            self.max_tokens
        );
        let mut recorder = Recorder {
            taps: pass.taps.then(Vec::new),
            layers: self.states_from.map(|first| LayerStates {
                first,
                states: Vec::new(),
            }),
            next: 0,
        };
        let mut note = |x: &Buffer| recorder.note(pass, x, self.blocks.len());
        let keep_embeddings = keep && self.trained.embeddings;
        let (mut x, embeddings) = self.embeddings.forward(pass, keep_embeddings);
        note(&x);
        let (below, trained) = self.blocks.split_at(self.trained.lowest);
        for block in below {
            x = block.forward(pass, x, false).0;
            note(&x);
        }
        let needs_input = trained.first().is_some_and(Block::needs_input);
        let input = (keep && needs_input).then(|| pass.arena.copy(&x));
        let mut blocks = Vec::with_capacity(trained.len());
        for block in trained {
            let (y, kept) = block.forward(pass, x, keep);
            blocks.extend(kept);
            x = y;
            note(&x);
        }
        let (mut hidden, last) = self.normalized(pass, x, keep);
        pass.drop(&mut hidden, pass.masks.at(self.dropout, 0, Site::Last));
        if let Some(layers) = &mut recorder.layers {
            layers.states.push(pass.arena.copy(&hidden));
        }
        EncoderOutput {
            hidden,
            taps: recorder.taps.unwrap_or_default(),
            layers: recorder.layers,
            kept: keep.then_some(KeptEncoder {
                embeddings,
                input,
                blocks,
                last,
            }),
        }
    }

    /// The last block's output, normalised if the encoder does that, and what the backward of the normalisation needs.
    fn normalized(
        &self,
        pass: &Pass<'_>,
        x: Buffer,
        keep: bool,
    ) -> (Buffer, Option<(Buffer, Buffer)>) {
        let Some(norm) = self.final_norm else {
            return (x, None);
        };
        let (hidden, stats) = norm.forward_kept(pass, &x, keep);
        (hidden, stats.map(|stats| (x, stats)))
    }

    /// Whether anything of the encoder is trained.
    pub(crate) fn is_trained(&self) -> bool {
        self.trained.lowest < self.blocks.len()
            || self.trained.embeddings
            || self.trained.final_norm
    }

    /// Adds the gradients of all that is trained, given those of the last hidden state as token embeddings and of the hidden states
    /// that a later module has read.
    pub(crate) fn backward(
        &self,
        cx: &mut Backward<'_>,
        kept: KeptEncoder,
        d_hidden: Option<Buffer>,
        d_layers: Option<LayerGradients>,
    ) {
        let tokens = cx.pass.tokens();
        let add_own = |dx: &mut Buffer, index: usize| {
            if let Some(d_layers) = &d_layers {
                d_layers.add_to(dx, index);
            }
        };
        let mut d_hidden = d_hidden.unwrap_or_else(|| cx.pass.arena.zeros(tokens, self.dim));
        add_own(&mut d_hidden, self.blocks.len());
        let KeptEncoder {
            embeddings,
            input,
            mut blocks,
            last,
        } = kept;
        let dropout = cx.pass.masks.at(self.dropout, 0, Site::Last);
        cx.pass.drop(&mut d_hidden, dropout);
        let mut dy = match (self.final_norm, last) {
            (Some(norm), Some((x, stats))) => norm.backward(cx, &d_hidden, &x, &stats, None),
            _ => d_hidden,
        };
        let mut input = input;
        while let Some(kept) = blocks.pop() {
            let index = self.trained.lowest + blocks.len();
            let below = blocks.last();
            let input = |pass: &Pass<'_>| match below {
                Some(kept) if self.blocks[index].needs_input() => {
                    Some(self.blocks[index - 1].output(pass, kept))
                }
                Some(_) => None,
                None => input.take(),
            };
            let wanted = index > self.trained.lowest || self.trained.embeddings;
            let Some(dx) = self.blocks[index].backward(cx, kept, input, dy, wanted) else {
                return;
            };
            dy = dx;
            add_own(&mut dy, index);
        }
        if let Some(kept) = embeddings {
            self.embeddings.backward(cx, &kept, dy);
        }
    }

    /// Bytes of [`KeptEncoder`] for so many tokens.
    pub(crate) fn kept_bytes(&self, tokens: usize) -> usize {
        let trained = &self.blocks[self.trained.lowest..];
        let embeddings = if self.trained.embeddings {
            self.embeddings.kept_bytes(tokens)
        } else {
            0
        };
        let input = if trained.first().is_some_and(Block::needs_input) {
            arena::bytes(tokens, &[self.dim])
        } else {
            0
        };
        let blocks = trained
            .iter()
            .map(|block| block.kept_bytes(tokens, self.dim));
        let last = if self.final_norm.is_some() {
            arena::bytes(tokens, &[self.dim, STATS])
        } else {
            0
        };
        embeddings + input + blocks.sum::<usize>() + last
    }

    /// Bytes that a forward and backward use besides what is kept. A block whose backward takes more than others may use what the
    /// blocks above it have given back.
    pub(crate) fn working_bytes(&self, tokens: usize) -> usize {
        let (mut most, mut unshared, mut given_back) = (0, 0, 0);
        for (index, block) in self.blocks.iter().enumerate().rev() {
            let working = block.working_bytes(tokens, self.dim, self.drops);
            most = most.max(working.saturating_sub(given_back));
            unshared = unshared.max(block.unshared_bytes(tokens));
            if index >= self.trained.lowest {
                given_back += block.kept_bytes(tokens, self.dim);
            }
        }
        most + unshared
    }

    /// Bytes that a forward and backward on this many threads use besides buffers.
    pub(crate) fn scratch_bytes(&self, size: BatchSize, threads: usize) -> usize {
        let bytes = |block: &Block| block.scratch_bytes(size, threads);
        self.blocks.iter().map(bytes).max().unwrap_or(0)
    }

    /// Bytes of a forward that keeps nothing.
    pub(crate) fn forward_bytes(&self, tokens: usize) -> usize {
        let bytes = |block: &Block| block.forward_bytes(tokens, self.dim);
        let states = self
            .states_from
            .map_or(0, |first| self.blocks.len() + 1 - first);
        self.blocks.iter().map(bytes).max().unwrap_or(0)
            + states * arena::bytes(tokens, &[self.dim])
    }
}
