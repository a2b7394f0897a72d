//! What lies in a collection, with its vectors: for maps and the like.

use matryo_ops::Mat;
use serde_json::{Map, Value};

use crate::{
    Collection, CollectionError, Filter,
    point::{ID, Point, TEXT},
};

/// A stored chunk.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// The document's id.
    pub id: String,
    /// The chunk's text.
    pub text: String,
    /// The document's fields.
    pub fields: Map<String, Value>,
}

impl Collection {
    /// At most `limit` chunks of those that the filter matches, as good as random, and their whole vectors `[chunks, dim]`. Under
    /// cosine the vectors have length 1.
    ///
    /// # Errors
    /// [`CollectionError::UnknownField`] for a filter on a field that no document has.
    pub fn contents(
        &self,
        limit: usize,
        filter: Option<&Filter>,
    ) -> Result<(Vec<Chunk>, Mat), CollectionError> {
        let condition = filter.map(Filter::to_json);
        let whole = self.manifest().dim().to_string();
        let (mut chunks, mut values) = (Vec::new(), Vec::new());
        let mut from = None;
        while chunks.len() < limit {
            let wanted = crate::collection::PAGE.min(limit - chunks.len());
            let (points, next) = self
                .backend()
                .scroll(condition.as_ref(), from, wanted, true)?;
            for mut point in points {
                let vectors = std::mem::take(&mut point.vectors);
                values.extend(
                    vectors
                        .into_iter()
                        .filter(|(name, _)| *name == whole)
                        .flat_map(|(_, vector)| vector),
                );
                chunks.push(Chunk::of(point));
            }
            from = match next {
                Some(next) => Some(next),
                None => break,
            };
        }
        let rows = chunks.len();
        if rows == 0 {
            self.expect_fields(filter)?;
        }
        Ok((chunks, Mat::from_vec(rows, self.manifest().dim(), values)))
    }
}

impl Chunk {
    /// The document that a point is a part of.
    pub(crate) fn of(mut point: Point) -> Self {
        let mut text = |key: &str| match point.payload.shift_remove(key) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let (id, text) = (text(ID), text(TEXT));
        point.payload.retain(|name, _| !name.starts_with('_'));
        Self {
            id,
            text,
            fields: point.payload,
        }
    }
}
