//! Where the values of the parameters are: [`Frozen`] for a model that is only used, [`Trainable`] for one that is trained.
//!
//! A layer holds a handle per parameter and asks [`Weights`] for its values. There is a handle type for each use that a layer
//! makes of a parameter, so that no store can be asked for a form that it does not have.

mod builder;
mod freeze;
mod frozen;
mod grads;
mod layout;
mod trainable;

pub use builder::Builder;
pub(crate) use builder::{Decay, Extent, ModuleContext, ParamName, ParamSpec, Plan};
pub use frozen::{Frozen, TablePlace};
pub use grads::Grads;
pub(crate) use grads::accumulate;
pub use layout::{Entry, Layout, Params, Tensor};
pub use trainable::Trainable;

use matryo_ops::{MatRef, Weight};

use crate::arena::{Arena, Buffer};

/// Weight of a matrix product, `[out, in]`.
#[derive(Clone, Copy, Debug)]
pub struct ProductParam {
    pub(crate) tensor: Tensor,
    /// Among the parameters of this use.
    pub(crate) index: usize,
}

/// A bias, or scale or shift of a normalisation.
#[derive(Clone, Copy, Debug)]
pub struct VectorParam {
    pub(crate) tensor: Tensor,
    pub(crate) index: usize,
}

/// A table of which rows are looked up.
#[derive(Clone, Copy, Debug)]
pub struct TableParam {
    pub(crate) tensor: Tensor,
    pub(crate) index: usize,
}

/// Rows of a table, where they can be looked up.
pub enum TableRows<'a> {
    /// The whole table.
    Whole(MatRef<'a>),
    /// Only the rows that were asked for, in that order.
    Gathered(Buffer),
}

/// The values of a network's parameters.
pub trait Weights: Send + Sync {
    /// Whether they never change, so that what is computed from them alone can be kept.
    fn are_constant(&self) -> bool;

    /// A weight for a product.
    fn product(&self, param: ProductParam) -> Weight<'_>;

    /// The values of a vector.
    fn vector(&self, param: VectorParam) -> &[f32];

    /// Where rows `ids` of a table are. Panics on a row outside of the table.
    fn rows(&self, param: TableParam, ids: &[u32], arena: &Arena) -> TableRows<'_>;
}
