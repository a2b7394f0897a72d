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
    /// How token ids become the first hidden states.
    pub embeddings: EmbeddingSpec,
    /// From the lowest block to the highest. All of them have the same [`Placement`].
    pub blocks: Vec<BlockSpec>,
    /// Normalisation of the last block's output.
    pub final_norm: Option<NormSpec>,
    /// Dropout rates in training.
    pub dropout: DropoutSpec,
}

/// Sum of one row per table, normalised, and projected where the tables are of another width than the hidden states.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingSpec {
    /// Rows of the word-embedding table.
    pub vocab: usize,
    /// Width of the tables.
    pub dim: usize,
    /// Whether a linear layer with a bias follows; it must where the width is not [`EncoderSpec::dim`].
    pub projection: bool,
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
