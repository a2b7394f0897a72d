//! Weights of a model that is only used: each linear layer packed once, vectors and tables as they are. A large table may stay in
//! its file, of which only the pages with the rows that occur are ever loaded.

use matryo_ops::{MatRef, Ops, PackedWeight, Weight};

use super::{
    ProductParam, TableParam, TableRows, Tensor, VectorParam, Weights,
    builder::Plan,
    layout::{Entry, Layout},
    trainable::of_module,
};
use crate::{
    Checkpoint, NnError,
    arena::{Arena, Buffer},
};

/// Tables of fewer values are copied wherever the large ones are, unless their file holds them as floats: gathering their rows would cost
/// more than it saves.
const SMALL_TABLE: usize = 1 << 20;

/// Where tables of many rows are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TablePlace {
    /// In the mapped file: opening is fast and memory holds the rows that occur. If the file is cut short while it is in use,
    /// the process ends.
    #[default]
    Mapped,
    /// Copied into memory, independent of the file from then on.
    Copied,
}

/// Parameters that never change.
pub struct Frozen {
    products: Vec<PackedWeight>,
    vectors: Vec<Vec<f32>>,
    tables: Vec<Table>,
    checkpoints: Vec<Option<Checkpoint>>,
}

enum Table {
    Copied {
        rows: usize,
        cols: usize,
        values: Vec<f32>,
    },
    /// In the file of a module, under this name.
    Mapped {
        module: usize,
        name: String,
        cols: usize,
    },
}

impl Frozen {
    /// Packs and copies the parameters of `plan`, one after the other; `checkpoints` are those of the modules, by index.
    pub(crate) fn read(
        plan: &Plan,
        checkpoints: Vec<Option<Checkpoint>>,
        tables: TablePlace,
        ops: &dyn Ops,
    ) -> Result<Self, NnError> {
        let source = Source {
            layout: &plan.layout,
            checkpoints: &checkpoints,
        };
        let products = source.products(&plan.products, ops)?;
        let mut vectors = Vec::with_capacity(plan.vectors.len());
        for &tensor in &plan.vectors {
            let mut values = Vec::new();
            source.read(tensor, &mut values)?;
            vectors.push(values);
        }
        let table = |tensor: &Tensor| source.table(*tensor, tables);
        let tables = plan.tables.iter().map(table).collect::<Result<_, _>>()?;
        let read = Self {
            products,
            vectors,
            tables,
            checkpoints,
        };
        // What vectors and tables were copied from.
        read.checkpoints
            .iter()
            .flatten()
            .for_each(Checkpoint::release);
        Ok(read)
    }
}

impl Weights for Frozen {
    fn are_constant(&self) -> bool {
        true
    }

    fn product(&self, param: ProductParam) -> Weight<'_> {
        Weight::Packed(&self.products[param.index])
    }

    fn vector(&self, param: VectorParam) -> &[f32] {
        &self.vectors[param.index]
    }

    fn rows(&self, param: TableParam, ids: &[u32], arena: &Arena) -> TableRows<'_> {
        match &self.tables[param.index] {
            Table::Copied { rows, cols, values } => {
                TableRows::Whole(MatRef::new(*rows, *cols, values))
            }
            Table::Mapped { module, name, cols } => {
                let checkpoint = of_module(&self.checkpoints, *module);
                // Floats that lie aligned need no copy.
                match checkpoint.matrix(name) {
                    Ok(Some(table)) => TableRows::Whole(table),
                    _ => TableRows::Gathered(gather(checkpoint, name, ids, *cols, arena)),
                }
            }
        }
    }
}

fn gather(checkpoint: &Checkpoint, name: &str, ids: &[u32], cols: usize, arena: &Arena) -> Buffer {
    let mut rows = arena.take(ids.len(), cols);
    let read = checkpoint.read_rows(name, ids, rows.data_mut());
    read.unwrap_or_else(|error| panic!("token ids are rows of the table: {error}"));
    rows
}

/// Reads tensors of a layout, each from its module's weights.
struct Source<'a> {
    layout: &'a Layout,
    checkpoints: &'a [Option<Checkpoint>],
}

impl Source<'_> {
    fn entries(&self, tensor: Tensor) -> &[Entry] {
        &self.layout.entries[tensor.entries()]
    }

    /// Tensors packed, each from where it lies in the file, or through a copy if it consists of several or is of another type.
    fn products(&self, tensors: &[Tensor], ops: &dyn Ops) -> Result<Vec<PackedWeight>, NnError> {
        let mut values = Vec::new();
        let mut products = Vec::with_capacity(tensors.len());
        for &tensor in tensors {
            let weight = match self.in_place(tensor) {
                Some(weight) => weight,
                None => {
                    self.read(tensor, &mut values)?;
                    MatRef::new(tensor.rows, tensor.cols, &values)
                }
            };
            products.push(ops.pack(weight));
            self.release(tensor);
        }
        Ok(products)
    }

    /// `None` also of a tensor that is missing or of another shape, which reading it tells.
    fn in_place(&self, tensor: Tensor) -> Option<MatRef<'_>> {
        let [entry] = self.entries(tensor) else {
            return None;
        };
        let checkpoint = of_module(self.checkpoints, entry.module);
        let weight = checkpoint.matrix(&entry.name).ok()??;
        let fits = (weight.rows(), weight.cols()) == (tensor.rows, tensor.cols)
            && entry.shape == [tensor.rows, tensor.cols];
        fits.then_some(weight)
    }

    /// All entries of a tensor, one after the other. Gives the memory of each back before the next is read.
    fn read(&self, tensor: Tensor, out: &mut Vec<f32>) -> Result<(), NnError> {
        let entries = self.entries(tensor);
        out.resize(tensor.rows * tensor.cols, 0.0);
        let start = entries[0].range.start;
        for entry in entries {
            let part = &mut out[entry.range.start - start..entry.range.end - start];
            let checkpoint = of_module(self.checkpoints, entry.module);
            checkpoint.read(&entry.name, &entry.shape, part)?;
            if entries.len() > 1 {
                checkpoint.release();
            }
        }
        Ok(())
    }

    /// Gives the memory of what was read back. Without it, the peak would hold a second copy of the weights.
    fn release(&self, tensor: Tensor) {
        of_module(self.checkpoints, self.entries(tensor)[0].module).release();
    }

    fn table(&self, tensor: Tensor, place: TablePlace) -> Result<Table, NnError> {
        let (rows, cols) = (tensor.rows, tensor.cols);
        let is_worth_a_copy = || rows * cols < SMALL_TABLE && self.in_place(tensor).is_none();
        if place == TablePlace::Copied || is_worth_a_copy() {
            let mut values = Vec::new();
            self.read(tensor, &mut values)?;
            return Ok(Table::Copied { rows, cols, values });
        }
        let entry = &self.entries(tensor)[0];
        let checkpoint = of_module(self.checkpoints, entry.module);
        // Fails now, and not at the first text, if the table is not of a floating type.
        checkpoint.read_rows(&entry.name, &[0], &mut vec![0.0; cols])?;
        Ok(Table::Mapped {
            module: entry.module,
            name: entry.name.clone(),
            cols,
        })
    }
}
