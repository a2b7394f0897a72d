//! What a pickle describes: objects in one list that refer to each other by number, and the tensors among them.

use std::rc::Rc;

use crate::{
    PickleError,
    tensor::{ElementType, Layout, MOST_AXES, Slice},
};

/// The functions and classes that a file may name: module, name.
pub(crate) const ALLOWED: [(&str, &str); 6] = [
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch._utils", "_rebuild_parameter_with_state"),
    ("torch", "Size"),
];

/// A value on the stack: small, or the number of an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    Nothing,
    Bool(bool),
    Integer(i64),
    /// A number that plays no part.
    Float,
    /// An entry of [`Object::objects`].
    Object(usize),
    /// An entry of [`ALLOWED`].
    Global(usize),
    /// A class of storages.
    Storage(ElementType),
}

impl Value {
    /// The number of the object, if it is one.
    fn object(self) -> Option<usize> {
        match self {
            Self::Object(i) => Some(i),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(crate) enum Content {
    Text(Rc<str>),
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    /// A storage that the file names: type, key, elements.
    Stored(ElementType, Rc<str>, u64),
    /// What one of [`ALLOWED`] was called with.
    Called(usize, Vec<Value>),
}

impl Content {
    /// Value `place` of those that it holds.
    fn reference(&self, place: usize) -> Option<Value> {
        match self {
            Self::Text(_) | Self::Stored(..) => None,
            Self::Tuple(values) | Self::List(values) | Self::Called(_, values) => {
                values.get(place).copied()
            }
            Self::Dict(entries) => {
                let (key, value) = entries.get(place / 2)?;
                Some(if place.is_multiple_of(2) {
                    *key
                } else {
                    *value
                })
            }
        }
    }
}

/// What a pickle describes.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) objects: Vec<Content>,
    pub(crate) root: Value,
}

impl Object {
    pub(crate) fn root(&self) -> Value {
        self.root
    }

    /// Whether following references can lead back to where one was.
    pub(crate) fn has_cycle(&self) -> bool {
        // Objects that are finished, and those on the way with the place of the reference that is followed next.
        let mut seen = vec![false; self.objects.len()];
        let mut is_on_way = vec![false; self.objects.len()];
        let mut way: Vec<(usize, usize)> = Vec::new();
        let mut next = self.root.object();
        loop {
            if let Some(i) = next.take().filter(|i| !seen[*i]) {
                (seen[i], is_on_way[i]) = (true, true);
                way.push((i, 0));
            }
            let Some((i, place)) = way.last_mut() else {
                return false;
            };
            match self.objects[*i].reference(*place) {
                None => {
                    is_on_way[*i] = false;
                    way.pop();
                }
                Some(value) => {
                    *place += 1;
                    next = value.object();
                    if next.is_some_and(|next| is_on_way[next]) {
                        return true;
                    }
                }
            }
        }
    }

    fn content(&self, value: Value) -> Option<&Content> {
        let Value::Object(i) = value else { return None };
        Some(&self.objects[i])
    }

    fn text(&self, value: Value) -> Option<&str> {
        match self.content(value)? {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Entries of a dictionary whose keys are texts; the last of equal keys counts, in the place of the first.
    pub(crate) fn entries(&self, value: Value) -> Vec<(String, Value)> {
        let Some(Content::Dict(entries)) = self.content(value) else {
            return Vec::new();
        };
        let mut places = std::collections::HashMap::new();
        let mut found: Vec<(String, Value)> = Vec::new();
        for (key, value) in entries {
            let Some(key) = self.text(*key) else { continue };
            let place = *places.entry(key).or_insert(found.len());
            match found.get_mut(place) {
                Some(entry) => entry.1 = *value,
                None => found.push((key.to_owned(), *value)),
            }
        }
        found
    }

    /// An entry at the top.
    pub(crate) fn entry(&self, key: &str) -> Option<Value> {
        let mut entries = self.entries(self.root).into_iter();
        entries
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// Keys at the top.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.entries(self.root)
            .into_iter()
            .map(|(key, _)| key)
            .collect()
    }

    /// Keys at the top whose entries hold tensors, as many as a message can name.
    pub(crate) fn keys_with_tensors(&self) -> Vec<String> {
        let holds = |value: Value| {
            let entries = self.entries(value);
            entries
                .iter()
                .any(|(_, value)| self.tensor(*value).is_some())
        };
        const NAMED: usize = 10;
        let entries = self.entries(self.root).into_iter().take(NAMED);
        entries
            .filter(|(_, value)| holds(*value))
            .map(|(key, _)| key)
            .collect()
    }

    /// A list of texts, as the keys of storages are in older files.
    pub(crate) fn texts(&self) -> Option<Vec<&str>> {
        let Content::List(items) = self.content(self.root)? else {
            return None;
        };
        items.iter().map(|item| self.text(*item)).collect()
    }

    /// All storages that the file names: type, key, elements.
    pub(crate) fn storages(&self) -> impl Iterator<Item = (ElementType, &str, u64)> {
        self.objects.iter().filter_map(|content| match content {
            Content::Stored(element, key, elements) => Some((*element, &**key, *elements)),
            _ => None,
        })
    }

    /// A tensor or parameter; `None` for another value.
    pub(crate) fn tensor(&self, value: Value) -> Option<Result<Layout, PickleError>> {
        let Content::Called(function, arguments) = self.content(value)? else {
            return None;
        };
        match ALLOWED[*function].1 {
            "_rebuild_tensor" | "_rebuild_tensor_v2" => Some(self.layout(arguments)),
            // One step, since a parameter of a parameter is nothing that torch writes.
            "_rebuild_parameter" | "_rebuild_parameter_with_state" => {
                match self.content(*arguments.first()?)? {
                    Content::Called(function, arguments)
                        if ALLOWED[*function].1.starts_with("_rebuild_tensor") =>
                    {
                        Some(self.layout(arguments))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Storage, offset, shape and strides.
    fn layout(&self, arguments: &[Value]) -> Result<Layout, PickleError> {
        let wrong = || PickleError::Damaged {
            at: 0,
            what: "a tensor without storage, offset, shape and strides",
        };
        let &[
            storage,
            Value::Integer(offset),
            shape,
            strides,
            ref further @ ..,
        ] = arguments
        else {
            return Err(wrong());
        };
        // Whether it has a gradient, hooks, and last, only where there is some, what else is said of it.
        if let Some(said) = further.get(2)
            && !matches!(self.content(*said), Some(Content::Dict(entries)) if entries.is_empty())
        {
            return Err(PickleError::Damaged {
                at: 0,
                what: "a view that negates or conjugates its storage",
            });
        }
        let Some(Content::Stored(element, key, elements)) = self.content(storage) else {
            return Err(wrong());
        };
        let (Some(shape), Some(strides)) = (self.sizes(shape), self.sizes(strides)) else {
            return Err(wrong());
        };
        Ok(Layout {
            element: *element,
            storage: key.clone(),
            elements: *elements,
            slice: Slice {
                offset: usize::try_from(offset).map_err(|_| wrong())?,
                shape,
                strides,
            },
        })
    }

    /// A shape, or strides.
    fn sizes(&self, value: Value) -> Option<Vec<usize>> {
        let parts = match self.content(value)? {
            Content::Tuple(parts) => parts,
            // `torch.Size([2, 3])`.
            Content::Called(_, arguments) => match self.content(*arguments.first()?)? {
                Content::Tuple(parts) | Content::List(parts) => parts,
                _ => return None,
            },
            _ => return None,
        };
        // Many tensors may share one long list.
        if parts.len() > MOST_AXES {
            return None;
        }
        let size = |part: &Value| match part {
            Value::Integer(size) => usize::try_from(*size).ok(),
            _ => None,
        };
        parts.iter().map(size).collect()
    }
}
