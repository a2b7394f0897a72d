//! What an encoder is made of: sizes and properties, one entry per block, never a model's name.
//!
//! A family (`families/`) translates a config.json into an [`EncoderSpec`]; the layers (`layers/`) compute whatever a
//! specification says. A property that only some blocks have, such as a window, stands in those blocks.

use matryo_ops::{Activation, AttentionShape};

/// Longest input of an encoder that has no longest input.
pub const UNLIMITED: usize = usize::MAX;

/// The longest input in tokens, `None` if it is [`UNLIMITED`].
pub fn limit(tokens: usize) -> Option<usize> {
    (tokens != UNLIMITED).then_some(tokens)
}

/// A transformer encoder: an embedding stage, blocks, and possibly a normalisation at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderSpec {
    /// Width of the hidden states.
    pub dim: usize,
    /// Tokens of the longest input, special tokens included; possibly [`UNLIMITED`].
    pub max_tokens: usize,
    /// Longest input where no other is asked for, of an encoder that could read longer ones.
    pub usual_tokens: Option<usize>,
    /// How token ids become the first hidden states.
    pub embeddings: EmbeddingSpec,
    /// From the lowest block to the highest. All of them have the same [`Placement`].
    pub blocks: Vec<BlockSpec>,
    /// Normalisation of the last block's output.
    pub final_norm: Option<NormSpec>,
    /// Dropout rates in training.
    pub dropout: DropoutSpec,
}

/// Sum of one row per table, normalised, and projected, before or after that, where the tables are of another width than the hidden
/// states.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingSpec {
    /// Rows of the word-embedding table.
    pub vocab: usize,
    /// Width of the tables.
    pub dim: usize,
    /// A linear layer to the width of the hidden states; there must be one where that is not the width of the tables.
    pub projection: Option<Projection>,
    /// Learned absolute positions, if the encoder has them.
    pub positions: Option<PositionSpec>,
    /// Rows of the token-type table; 0 if there is none. In a table of one row every token has that type.
    pub token_types: usize,
    /// Rows of a table of which every token reads the first; 0 if there is none.
    pub task_types: usize,
    /// Normalisation of the sum.
    pub norm: Option<NormSpec>,
    /// Whether the word table may stand in the checkpoint as the output layer of a language model.
    pub tied: bool,
    /// Token whose rows get no gradient (`padding_idx` of `torch.nn.Embedding`).
    pub padding: Option<u32>,
}

/// Where the linear layer of the embeddings stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projection {
    /// Before the normalisation, without a bias.
    BeforeNorm,
    /// After the normalisation, with a bias.
    AfterNorm,
}

/// A table of learned absolute positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionSpec {
    /// Rows of the table.
    pub rows: usize,
    /// Which row a token reads.
    pub numbering: Numbering,
}

/// How the tokens of a text are numbered for a position table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// Token `n` of a text reads row `n`.
    FromZero,
    /// Tokens are counted from `padding + 1` on. A token that is the padding token itself reads row `padding` and is left
    /// out of the count.
    AfterPadding(u32),
}

/// One block: self-attention, then a feed-forward network, each with a residual and a normalisation.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockSpec {
    /// Number of its parameters: its own, or that of a block below which it shares them with.
    pub weights: usize,
    /// Where both normalisations stand.
    pub placement: Placement,
    /// The self-attention.
    pub attention: AttentionSpec,
    /// Its normalisation; `None` is the identity.
    pub attention_norm: Option<NormSpec>,
    /// The feed-forward network.
    pub feed_forward: FeedForwardSpec,
    /// Its normalisation; `None` is the identity.
    pub feed_forward_norm: Option<NormSpec>,
    /// A convolution beside the block; of post-normalised blocks only.
    pub convolution: Option<ConvolutionSpec>,
}

/// A convolution of a block's input along the tokens of a text, dropped, activated, added to the block's output and normalised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvolutionSpec {
    /// Tokens that it sees, half of them on each side of one; odd.
    pub taps: usize,
    /// Parts of the width that see themselves alone.
    pub groups: usize,
    /// Applied before the addition.
    pub activation: Activation,
    /// Normalisation of the sum.
    pub norm: NormSpec,
}

/// Where the normalisation of half a block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// `norm(x + f(x))`.
    Post,
    /// `x + f(norm(x))`.
    Pre,
}

/// Multi-head self-attention with fused query, key and value.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionSpec {
    /// Heads, scale of the scores, and which keys a query sees.
    pub shape: AttentionShape,
    /// Whether both linear layers have a bias.
    pub bias: bool,
    /// Rotary position embedding of queries and keys.
    pub rotary: Option<RotarySpec>,
    /// Bias of the scores by distance, from a table that all blocks share.
    pub relative: Option<RelativeSpec>,
    /// Terms of content and distance, from a table that all blocks share.
    pub disentangled: Option<DisentangledSpec>,
}

/// Terms of the scores of content and distance (He et al. 2021): queries and keys are multiplied with vectors of the distance of a query
/// from its key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DisentangledSpec {
    /// Buckets of the distances on each side, of which the near half has one distance each; `None` if all have.
    pub buckets: Option<usize>,
    /// With buckets the distance, plus one, that the last one begins with; else the number of distances on each side.
    pub max_distance: usize,
    /// Whether queries are multiplied with vectors of distances (content to position).
    pub for_queries: bool,
    /// Whether keys are multiplied with vectors of distances (position to content).
    pub for_keys: bool,
    /// Whether the vectors are made by the block's own layers of queries and keys, not by layers for distances.
    pub shared: bool,
    /// Normalisation of the table.
    pub norm: Option<NormSpec>,
}

/// Bias of the scores by the bucketed distance of a key from its query (Raffel et al. 2020), one value a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelativeSpec {
    /// Rows of the table.
    pub rows: usize,
    /// Buckets of all distances, half of them for keys after their query; at most `rows`, and a multiple of 4.
    pub buckets: usize,
    /// Distance from which on there is one bucket on each side.
    pub max_distance: usize,
}

/// Rotary position embedding (Su et al. 2021) over the whole width of a head, halves rotated against each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RotarySpec {
    /// Base of the wavelengths.
    pub theta: f64,
}

/// Two linear layers with an activation between them.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedForwardSpec {
    /// Width between the two layers.
    pub dim: usize,
    /// Applied to the first layer's output, or to the first half of it if gated.
    pub activation: Activation,
    /// Whether the first layer is twice as wide and its second half multiplies the activated first half (Shazeer 2020).
    pub gated: bool,
    /// Whether both linear layers have a bias.
    pub bias: bool,
}

/// Layer normalisation (Ba et al. 2016); not centred and without a shift it is RMSNorm (Zhang & Sennrich 2019).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormSpec {
    /// Added to the variance.
    pub eps: f32,
    /// Whether it has a shift besides its scale.
    pub bias: bool,
    /// Whether the mean is subtracted first.
    pub centred: bool,
}

/// Dropout rates by place; all are 0 when a model is only used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DropoutSpec {
    /// On the normalised embeddings.
    pub embeddings: f32,
    /// On the attention probabilities.
    pub probabilities: f32,
    /// On the attention's output layer.
    pub attention_out: f32,
    /// Between the two layers of the feed-forward network.
    pub feed_forward_inner: f32,
    /// On the output of the feed-forward network.
    pub feed_forward_out: f32,
    /// On the last hidden states, behind their normalisation.
    pub last: f32,
    /// On the table of distances that scores have terms of, in each block.
    pub distances: f32,
    /// On a convolution, before its activation.
    pub convolution: f32,
}

impl EncoderSpec {
    /// An encoder of these parts alone, without dropout; a family states what it has besides.
    pub fn plain(max_tokens: usize, embeddings: EmbeddingSpec, blocks: Vec<BlockSpec>) -> Self {
        Self {
            dim: embeddings.dim,
            max_tokens,
            usual_tokens: None,
            embeddings,
            blocks,
            final_norm: None,
            dropout: DropoutSpec::default(),
        }
    }
}

impl EmbeddingSpec {
    /// A word table alone, without a padding token.
    pub fn words(vocab: usize, dim: usize) -> Self {
        Self {
            vocab,
            dim,
            projection: None,
            positions: None,
            token_types: 0,
            task_types: 0,
            norm: None,
            tied: true,
            padding: None,
        }
    }
}

impl BlockSpec {
    /// Both halves with the same normalisation, nothing beside them, and the parameters of block 0.
    pub fn plain(
        placement: Placement,
        attention: AttentionSpec,
        feed_forward: FeedForwardSpec,
        norm: NormSpec,
    ) -> Self {
        Self {
            weights: 0,
            placement,
            attention,
            attention_norm: Some(norm),
            feed_forward,
            feed_forward_norm: Some(norm),
            convolution: None,
        }
    }

    /// Gives a list of `blocks` blocks like this one, each with parameters of its own.
    pub fn repeated(self, blocks: usize) -> Vec<Self> {
        let block = |weights| Self {
            weights,
            ..self.clone()
        };
        (0..blocks).map(block).collect()
    }
}

impl AttentionSpec {
    /// Scores of content alone.
    pub fn plain(shape: AttentionShape, bias: bool) -> Self {
        Self {
            shape,
            bias,
            rotary: None,
            relative: None,
            disentangled: None,
        }
    }
}

impl DropoutSpec {
    /// Whether nothing is ever dropped, so that equal texts have equal embeddings in training too.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl FeedForwardSpec {
    /// Width of the first layer's output.
    pub fn inner(&self) -> usize {
        if self.gated { 2 * self.dim } else { self.dim }
    }
}

impl DisentangledSpec {
    /// Half of the rows of the table.
    pub fn span(&self) -> usize {
        self.buckets.unwrap_or(self.max_distance)
    }

    /// The row of the table for a query that stands `distance` tokens after its key.
    pub fn row(&self, distance: i64) -> usize {
        let span = self.span() as i64;
        let number = match self.buckets {
            Some(buckets) => bucket(buckets, self.max_distance, distance),
            None => distance,
        };
        (number + span).clamp(0, 2 * span - 1) as usize
    }
}

/// The bucket of a distance, with its sign: near distances have one each, farther ones share them in logarithmic steps. In `f32`, as
/// `make_log_bucket_position` of transformers computes it.
fn bucket(buckets: usize, max_distance: usize, distance: i64) -> i64 {
    let middle = buckets / 2;
    let size = distance.unsigned_abs() as usize;
    if size <= middle {
        return distance;
    }
    let farthest = ((max_distance - 1) as f64 / middle as f64) as f32;
    let steps = (size as f32 / middle as f32).ln() / farthest.ln() * (middle as f32 - 1.0);
    distance.signum() * (steps.ceil() + middle as f32) as i64
}
