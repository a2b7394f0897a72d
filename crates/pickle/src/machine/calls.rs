//! What a pickle asks for beyond plain values: functions and classes by name, storages by persistent id, and calls.

use super::Machine;
use crate::{
    PickleError,
    object::{ALLOWED, Content, Value},
    tensor::ElementType,
};

impl Machine<'_> {
    pub(super) fn global(&mut self, code: u8) -> Result<(), PickleError> {
        let (module, name) = if code == b'c' {
            (self.line()?.into(), self.line()?.into())
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            match (self.text_of(module), self.text_of(name)) {
                (Some(module), Some(name)) => (module, name),
                _ => return Err(self.damaged("a global without a name")),
            }
        };
        let place = ALLOWED
            .iter()
            .position(|allowed| *allowed == (&*module, &*name));
        let storage = (&*module == "torch").then(|| ElementType::of_storage(&name));
        let value = match (place, storage.flatten()) {
            (Some(place), _) => Value::Global(place),
            (None, Some(element)) => Value::Storage(element),
            (None, None) => {
                return Err(PickleError::Global {
                    name: format!("{module}.{name}"),
                });
            }
        };
        self.stack.push(value);
        Ok(())
    }

    /// A persistent id: `("storage", type, key, location, elements)`, and in older files a view, which only says `None`.
    pub(super) fn persistent(&mut self) -> Result<(), PickleError> {
        let wrong = self.damaged("a persistent id that is no storage");
        let Value::Object(i) = self.pop()? else {
            return Err(wrong);
        };
        let Content::Tuple(parts) = &self.objects[i] else {
            return Err(wrong);
        };
        let &[
            kind,
            Value::Storage(element),
            key,
            _,
            Value::Integer(elements),
            ref view @ ..,
        ] = &parts[..]
        else {
            return Err(wrong);
        };
        let is_whole = view.iter().all(|view| *view == Value::Nothing);
        self.check_name(key)?;
        let (kind, key) = (self.text_of(kind), self.text_of(key));
        match (kind.as_deref(), key, u64::try_from(elements)) {
            (Some("storage"), Some(key), Ok(elements)) if is_whole => {
                self.push_new(Content::Stored(element, key, elements));
                Ok(())
            }
            _ => Err(wrong),
        }
    }

    pub(super) fn call(&mut self) -> Result<(), PickleError> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Value::Object(i), Value::Global(function)) = (arguments, function) else {
            return Err(self.damaged("a call of what is no function"));
        };
        let Content::Tuple(arguments) = &self.objects[i] else {
            return Err(self.damaged("a call without arguments"));
        };
        let arguments = arguments.clone();
        self.copied += arguments.len();
        let content = match ALLOWED[function].1 {
            "OrderedDict" => {
                let (entries, looked_at) = self.ordered(&arguments)?;
                self.copied += looked_at;
                Content::Dict(entries)
            }
            _ => Content::Called(function, arguments),
        };
        // A call is one byte, but may copy a long list, again and again.
        if self.copied > self.bytes.len() {
            return Err(self.damaged("calls with more arguments than the file can have"));
        }
        self.push_new(content);
        Ok(())
    }

    /// The entries of a dictionary that is made from a list of pairs, and the length of the list.
    fn ordered(&self, arguments: &[Value]) -> Result<(Vec<(Value, Value)>, usize), PickleError> {
        let items = match arguments.first() {
            Some(Value::Object(i)) => match &self.objects[*i] {
                Content::List(items) => &items[..],
                _ => &[],
            },
            _ => &[],
        };
        let pair = |item: &Value| {
            let Value::Object(i) = item else { return None };
            match &self.objects[*i] {
                Content::Tuple(parts) | Content::List(parts) => match parts[..] {
                    [key, value] => Some((key, value)),
                    _ => None,
                },
                _ => None,
            }
        };
        let entries: Vec<_> = items.iter().filter_map(pair).collect();
        entries
            .iter()
            .try_for_each(|(key, _)| self.check_name(*key))?;
        Ok((entries, items.len()))
    }
}
