//! How a row crosses between host and guest: the type `row` of `projection.wit`, written and read.
//!
//! The values stand one after the other, each as one byte for its kind and what belongs to it, numbers
//! little-endian. There is exactly one way to write a value, so equal rows are equal bytes.
//!
//! | kind | value |
//! |---|---|
//! | 0 | null |
//! | 1 | false |
//! | 2 | true |
//! | 3 | integer: 64 bits, signed |
//! | 4 | real: 64-bit IEEE 754 |
//! | 5 | text: length in bytes as 32 bits, then as many bytes of UTF-8 |
//! | 6 | blob: length in bytes as 32 bits, then as many bytes |

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INTEGER: u8 = 3;
const REAL: u8 = 4;
const TEXT: u8 = 5;
const BLOB: u8 = 6;

/// One value, borrowing from the row. The order is the one across types that SQLite has, too.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub enum Field<'r> {
    /// No value.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// UTF-8, which [`Fields`] has not looked at: whoever needs to know checks it.
    Text(&'r [u8]),
    /// Any bytes.
    Blob(&'r [u8]),
}

/// Appends one value to a row.
///
/// # Panics
/// If it is longer than 4 GiB, which no guest's memory holds.
pub fn push(row: &mut Vec<u8>, field: Field<'_>) {
    match field {
        Field::Null => row.push(NULL),
        Field::Boolean(false) => row.push(FALSE),
        Field::Boolean(true) => row.push(TRUE),
        Field::Integer(integer) => push_number(row, INTEGER, integer.to_le_bytes()),
        Field::Real(real) => push_number(row, REAL, real.to_le_bytes()),
        Field::Text(text) => push_bytes(row, TEXT, text),
        Field::Blob(bytes) => push_bytes(row, BLOB, bytes),
    }
}

fn push_number(row: &mut Vec<u8>, kind: u8, bytes: [u8; 8]) {
    row.push(kind);
    row.extend_from_slice(&bytes);
}

fn push_bytes(row: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    let Ok(length) = u32::try_from(bytes.len()) else {
        panic!("a value of {} bytes: 4 GiB are the most", bytes.len());
    };
    row.push(kind);
    row.extend_from_slice(&length.to_le_bytes());
    row.extend_from_slice(bytes);
}

/// These bytes are no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// No value begins like this.
    #[error("byte {at} is {found}, which is no kind of value")]
    Kind {
        /// Where, counted from 0.
        at: usize,
        /// What stands there.
        found: u8,
    },
    /// The last value is not there as a whole.
    #[error("the value at byte {at} is cut off")]
    CutOff {
        /// Where it begins, counted from 0.
        at: usize,
    },
}

/// The values of a row, from the first to the last or to the first error.
#[derive(Debug, Clone)]
pub struct Fields<'r> {
    row: &'r [u8],
    position: usize,
}

impl<'r> Fields<'r> {
    /// Stands before the first value. Nothing is known of the bytes yet.
    #[must_use]
    pub fn new(row: &'r [u8]) -> Self {
        Self { row, position: 0 }
    }

    /// Where the next value begins, in bytes.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    #[inline]
    fn read(&mut self, kind: u8) -> Result<Field<'r>, Malformed> {
        let at = self.position;
        self.position += 1;
        let field = match kind {
            NULL => Some(Field::Null),
            FALSE => Some(Field::Boolean(false)),
            TRUE => Some(Field::Boolean(true)),
            INTEGER => self.number().map(i64::from_le_bytes).map(Field::Integer),
            REAL => self.number().map(f64::from_le_bytes).map(Field::Real),
            TEXT => self.bytes().map(Field::Text),
            BLOB => self.bytes().map(Field::Blob),
            found => return Err(Malformed::Kind { at, found }),
        };
        field.ok_or(Malformed::CutOff { at })
    }

    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        let number = *self.row[self.position..].first_chunk()?;
        self.position += N;
        Some(number)
    }

    fn bytes(&mut self) -> Option<&'r [u8]> {
        let length = u32::from_le_bytes(self.number()?);
        let bytes = self.row[self.position..].get(..length as usize)?;
        self.position += bytes.len();
        Some(bytes)
    }
}

impl<'r> Iterator for Fields<'r> {
    type Item = Result<Field<'r>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let kind = *self.row.get(self.position)?;
        let read = self.read(kind);
        if read.is_err() {
            self.position = self.row.len();
        }
        Some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [Field<'_>; 8] = [
        Field::Null,
        Field::Boolean(false),
        Field::Boolean(true),
        Field::Integer(-2),
        Field::Real(1.5),
        Field::Text("grüße".as_bytes()),
        Field::Blob(&[0xff]),
        Field::Text(b""),
    ];

    fn row(fields: &[Field<'_>]) -> Vec<u8> {
        let mut row = Vec::new();
        fields.iter().for_each(|field| push(&mut row, *field));
        row
    }

    #[test]
    fn what_was_written_is_read() {
        let row = row(&FIELDS);
        let read: Result<Vec<_>, _> = Fields::new(&row).collect();
        assert_eq!(read.unwrap(), FIELDS);
        assert_eq!(Fields::new(&[]).count(), 0);
    }

    #[test]
    fn the_bytes_are_those_of_the_contract() {
        let fields = [
            Field::Null,
            Field::Boolean(true),
            Field::Integer(258),
            Field::Text(b"ab"),
        ];
        let bytes = [0, 2, 3, 2, 1, 0, 0, 0, 0, 0, 0, 5, 2, 0, 0, 0, b'a', b'b'];
        assert_eq!(row(&fields), bytes);
    }

    #[test]
    fn a_row_cut_anywhere_gives_its_first_values_and_then_at_most_one_error() {
        let whole = row(&FIELDS);
        for end in 0..whole.len() {
            let read: Vec<_> = Fields::new(&whole[..end]).collect();
            let good = read.iter().filter(|field| field.is_ok()).count();
            assert!(read.len() - good <= 1, "cut at {end}");
            assert!(
                read[..good].iter().flatten().eq(&FIELDS[..good]),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn unknown_kinds_and_lengths_beyond_the_end_are_named() {
        let mut bytes = row(&FIELDS[..1]);
        bytes.push(7);
        let error = Fields::new(&bytes).last();
        assert_eq!(error, Some(Err(Malformed::Kind { at: 1, found: 7 })));
        let endless = [TEXT, 0xff, 0xff, 0xff, 0xff, b'a'];
        let error = Fields::new(&endless).last();
        assert_eq!(error, Some(Err(Malformed::CutOff { at: 0 })));
    }
}
