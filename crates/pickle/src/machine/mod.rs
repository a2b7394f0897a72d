//! The stack machine of a pickle, protocols 2 to 5, as far as files of tensors need it.
//!
//! Objects lie in one list and refer to each other by number, so that neither cycles nor nesting of any depth can overflow a stack, and
//! memory is a constant times the length of the pickle.

mod calls;

use std::rc::Rc;

use crate::{
    PickleError,
    object::{Content, Object, Value},
};

/// Bytes of a key of a dictionary or a storage.
const LONGEST_NAME: usize = 4096;

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: Vec<Option<Value>>,
    objects: Vec<Content>,
    /// Values that calls have copied.
    copied: usize,
}

/// Runs one pickle. Gives what it describes, and the bytes it took.
pub(crate) fn run(bytes: &[u8]) -> Result<(Object, usize), PickleError> {
    let mut machine = Machine {
        bytes,
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: Vec::new(),
        objects: Vec::new(),
        copied: 0,
    };
    while machine.step()? {}
    let root = machine.pop()?;
    let object = Object {
        objects: machine.objects,
        root,
    };
    if object.has_cycle() {
        return Err(PickleError::Damaged {
            at: machine.at,
            what: "an object that holds itself",
        });
    }
    Ok((object, machine.at))
}

impl Machine<'_> {
    fn damaged(&self, what: &'static str) -> PickleError {
        PickleError::Damaged { at: self.at, what }
    }

    fn take(&mut self, len: usize) -> Result<&[u8], PickleError> {
        let end = self
            .at
            .checked_add(len)
            .filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(PickleError::Short {
                at: self.bytes.len(),
            });
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// An unsigned number of so many bytes.
    fn number(&mut self, len: usize) -> Result<u64, PickleError> {
        let bytes = self.take(len)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |n, byte| n << 8 | u64::from(*byte)))
    }

    fn length(&mut self, len: usize) -> Result<usize, PickleError> {
        let number = self.number(len)?;
        usize::try_from(number).map_err(|_| self.damaged("a length"))
    }

    fn text(&mut self, len: usize) -> Result<String, PickleError> {
        let bytes = self.take(len)?.to_vec();
        String::from_utf8(bytes).map_err(|_| self.damaged("a text that is no UTF-8"))
    }

    /// Up to the end of a line.
    fn line(&mut self) -> Result<String, PickleError> {
        let rest = &self.bytes[self.at..];
        let Some(len) = rest.iter().position(|byte| *byte == b'\n') else {
            return Err(PickleError::Short {
                at: self.bytes.len(),
            });
        };
        let line = self.text(len)?;
        self.at += 1;
        Ok(line)
    }

    fn pop(&mut self) -> Result<Value, PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(self.damaged("an empty stack"));
        }
        Ok(self.stack.pop().expect("more than the floor"))
    }

    /// What was pushed since the last mark.
    fn pop_to_mark(&mut self) -> Result<Vec<Value>, PickleError> {
        let mark = self.marks.pop().ok_or_else(|| self.damaged("no mark"))?;
        if mark > self.stack.len() {
            return Err(self.damaged("a mark above the stack"));
        }
        Ok(self.stack.split_off(mark))
    }

    fn push_new(&mut self, content: Content) {
        self.objects.push(content);
        self.stack.push(Value::Object(self.objects.len() - 1));
    }

    /// The object on top of the stack, which stays there.
    fn top(&mut self) -> Result<&mut Content, PickleError> {
        let at = self.at;
        match self.stack.last() {
            Some(Value::Object(i)) => Ok(&mut self.objects[*i]),
            _ => Err(PickleError::Damaged {
                at,
                what: "no object to add to",
            }),
        }
    }

    fn remember(&mut self, place: usize) -> Result<(), PickleError> {
        let value = *self
            .stack
            .last()
            .ok_or_else(|| self.damaged("an empty stack"))?;
        // As many places as there are bytes: every one was written by an instruction.
        if place > self.bytes.len() {
            return Err(self.damaged("a place beyond all others"));
        }
        if self.memo.len() <= place {
            self.memo.resize(place + 1, None);
        }
        self.memo[place] = Some(value);
        Ok(())
    }

    fn recall(&mut self, place: usize) -> Result<(), PickleError> {
        let value = self.memo.get(place).copied().flatten();
        let value = value.ok_or_else(|| self.damaged("a place that was not written"))?;
        self.stack.push(value);
        Ok(())
    }

    /// One instruction; `false` after the last.
    fn step(&mut self) -> Result<bool, PickleError> {
        let at = self.at;
        let code = self.take(1)?[0];
        match code {
            b'.' => return Ok(false),
            // PROTO, FRAME: nothing depends on them.
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let value = self.pop()?;
                self.stack.extend([value, value]);
            }
            b'N' => self.stack.push(Value::Nothing),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'K' | b'M' | b'J' | 0x8a => self.integer(code)?,
            b'G' => {
                self.take(8)?;
                self.stack.push(Value::Float);
            }
            b'X' | b'T' | 0x8d | 0x8c | b'U' | b'B' | b'C' | 0x8e => self.string(code)?,
            b')' | 0x85 | 0x86 | 0x87 | b't' | b']' | b'l' | b'}' | b'd' => {
                self.collection(code)?
            }
            b'a' | b'e' | b's' | b'u' => self.add(code)?,
            b'q' | b'r' | 0x94 => {
                let place = match code {
                    b'q' => self.length(1)?,
                    b'r' => self.length(4)?,
                    _ => self.memo.len(),
                };
                self.remember(place)?;
            }
            b'h' => {
                let place = self.length(1)?;
                self.recall(place)?;
            }
            b'j' => {
                let place = self.length(4)?;
                self.recall(place)?;
            }
            b'c' | 0x93 => self.global(code)?,
            b'Q' => self.persistent()?,
            b'R' => self.call()?,
            // BUILD: attributes of a dictionary, such as `_metadata`, hold no tensors.
            b'b' => drop(self.pop()?),
            _ => return Err(PickleError::Instruction { code, at }),
        }
        Ok(true)
    }

    fn integer(&mut self, code: u8) -> Result<(), PickleError> {
        let value = match code {
            b'K' => self.number(1)? as i64,
            b'M' => self.number(2)? as i64,
            b'J' => i64::from(self.number(4)? as u32 as i32),
            _ => {
                let len = self.length(1)?;
                let bytes = self.take(len)?.to_vec();
                signed(&bytes)
            }
        };
        self.stack.push(Value::Integer(value));
        Ok(())
    }

    fn string(&mut self, code: u8) -> Result<(), PickleError> {
        let len = match code {
            b'X' | b'T' | b'B' => self.length(4)?,
            0x8d | 0x8e => self.length(8)?,
            _ => self.length(1)?,
        };
        // Bytes (B, C) are never a name; what they hold plays no part.
        let text = if matches!(code, b'B' | b'C' | 0x8e) {
            self.take(len)?;
            String::new()
        } else {
            self.text(len)?
        };
        self.push_new(Content::Text(text.into()));
        Ok(())
    }

    fn collection(&mut self, code: u8) -> Result<(), PickleError> {
        let content = match code {
            b')' => Content::Tuple(Vec::new()),
            0x85..=0x87 => {
                let mut values = Vec::new();
                for _ in 0x85..=code {
                    values.push(self.pop()?);
                }
                values.reverse();
                Content::Tuple(values)
            }
            b't' => Content::Tuple(self.pop_to_mark()?),
            b']' => Content::List(Vec::new()),
            b'l' => Content::List(self.pop_to_mark()?),
            b'}' => Content::Dict(Vec::new()),
            _ => {
                let values = self.pop_to_mark()?;
                Content::Dict(self.pairs(&values)?)
            }
        };
        self.push_new(content);
        Ok(())
    }

    fn add(&mut self, code: u8) -> Result<(), PickleError> {
        let values = match code {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_to_mark()?,
        };
        let wrong = self.damaged("what is added to is no collection");
        let pairs = match code {
            b's' | b'u' => self.pairs(&values)?,
            _ => Vec::new(),
        };
        match (self.top()?, code) {
            (Content::List(items), b'a' | b'e') => items.extend(values),
            (Content::Dict(entries), b's' | b'u') => entries.extend(pairs),
            _ => return Err(wrong),
        }
        Ok(())
    }

    fn text_of(&self, value: Value) -> Option<Rc<str>> {
        let Value::Object(i) = value else { return None };
        match &self.objects[i] {
            Content::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// Keys and values in turns.
    fn pairs(&self, values: &[Value]) -> Result<Vec<(Value, Value)>, PickleError> {
        let (pairs, _) = values.as_chunks::<2>();
        let pair = |[key, value]: &[Value; 2]| {
            self.check_name(*key)?;
            Ok((*key, *value))
        };
        pairs.iter().map(pair).collect()
    }

    /// A name is read as often as it is referred to, in a byte or two each time.
    fn check_name(&self, value: Value) -> Result<(), PickleError> {
        let Value::Object(i) = value else {
            return Ok(());
        };
        match &self.objects[i] {
            Content::Text(text) if text.len() > LONGEST_NAME => {
                Err(self.damaged("a name of more than 4,096 bytes"))
            }
            _ => Ok(()),
        }
    }
}

/// A number in two's complement of any length; 0 for one that does not fit, which no length or offset is.
fn signed(bytes: &[u8]) -> i64 {
    if bytes.len() > 8 {
        return 0;
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut all = [if negative { 0xff } else { 0 }; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(all)
}
