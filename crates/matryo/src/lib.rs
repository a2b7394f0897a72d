//! One dependency for users of the library: the public API of every crate.

pub use matryo_data as data;
pub use matryo_eval as eval;
pub use matryo_index as index;
pub use matryo_losses as losses;
pub use matryo_model as model;
pub use matryo_ops as ops;
pub use matryo_train as train;
