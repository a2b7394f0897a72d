//! Pairs, groups and clusters among vectors, and their map.
//!
//! Everything but the map is exact, and compares rows block by block over the matrix product, so memory stays far below the square of the number
//! of rows; [`agglomerative`] is the exception, and says so before it starts. No result depends on the number of threads.

mod agglomerative;
mod blocks;
mod central;
mod community;
mod duplicates;
mod error;
mod groups;
mod kmeans;
mod paraphrase;
mod projection;
mod random;
mod union_find;
mod unit;

pub use agglomerative::{AGGLOMERATIVE_ROWS, Cut, Linkage, agglomerative};
pub use blocks::cosines;
pub use central::most_central;
pub use community::{CommunityOptions, community_detection};
pub use duplicates::{DuplicateGroup, duplicates};
pub use error::MiningError;
pub use groups::groups;
pub use kmeans::{KMeans, KMeansOptions, kmeans};
pub use matryo_kernels::{Mat, MatRef};
pub use paraphrase::{Pair, ParaphraseOptions, paraphrase_mining};
pub use projection::{Point, TsneOptions, tsne};
