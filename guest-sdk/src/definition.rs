//! What a projection says about itself before it sees an event. The attribute and the derive write
//! these as constants; the host reads them through `describe`.

/// The whole declaration of a projection: the arguments of `#[projection]` and its tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The projection's name.
    pub name: &'static str,
    /// Counts up from 1; a read model belongs to the version that built it.
    pub version: u32,
    /// NATS subject filters of the events the projection sees.
    pub subjects: &'static [&'static str],
    /// Which events belong together.
    pub key: EventKey,
    /// The tables; everything else names them by their position in this list.
    pub tables: &'static [TableDefinition],
}

/// Which events belong together. Order is kept per key when the host has to hold events back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKey {
    /// Events have no key.
    None,
    /// The token of the subject at this position, counted from 0.
    SubjectToken(u32),
    /// The first value of the header of this name.
    Header(&'static str),
}

/// One table of the read model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableDefinition {
    /// The table's name, unique in the projection.
    pub name: &'static str,
    /// The columns, in the order of the struct's fields.
    pub columns: &'static [ColumnDefinition],
    /// Positions in `columns` of the primary key.
    pub key: &'static [u32],
    /// Secondary indexes, each a list of positions in `columns`.
    pub indexes: &'static [&'static [u32]],
}

/// One column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnDefinition {
    /// The column's name, unique in its table.
    pub name: &'static str,
    /// What the column holds.
    pub ty: ColumnType,
    /// Whether the column may be null: the field is an `Option`.
    pub nullable: bool,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `true` or `false`.
    Boolean,
    /// 64 bits, signed.
    Integer,
    /// 64-bit IEEE 754, finite.
    Real,
    /// UTF-8.
    Text,
    /// Any bytes.
    Blob,
    /// One JSON document.
    Json,
}
