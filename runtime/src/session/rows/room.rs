//! Which rows are dropped when there are too many.

use indexmap::set::MutableValues;

use super::Rows;

/// Ages that are told apart when room must be made: 0 is "used since the last sweep".
const AGES: usize = 8;

impl Rows {
    /// Makes room: the longest unused entries go until a quarter of the limit is free. Sweeping rarely and
    /// far costs less than keeping a list in the order of use with every look-up.
    pub(super) fn sweep(&mut self) {
        let (cut, mut room) = self.cut(self.limit_bytes / 4 * 3);
        let bytes = &mut self.bytes;
        for table in &mut self.tables {
            let complete = &mut table.complete;
            table.entries.retain2(|entry| {
                let (age, size) = (usize::from(entry.age), entry.size());
                let fits = age < cut || (age == cut && size <= room);
                if !fits {
                    *bytes -= size;
                    *complete = false;
                } else if age == cut {
                    room -= size;
                }
                entry.age = (entry.age + 1).min(AGES as u8 - 1);
                fits
            });
        }
    }

    /// The age of which only a part fits into `room` bytes together with all that is younger, and the room
    /// left for that part.
    fn cut(&self, mut room: usize) -> (usize, usize) {
        let mut by_age = [0; AGES];
        for entry in self.tables.iter().flat_map(|table| &table.entries) {
            by_age[usize::from(entry.age)] += entry.size();
        }
        for (age, bytes) in by_age.into_iter().enumerate() {
            match room.checked_sub(bytes) {
                Some(left) => room = left,
                None => return (age, room),
            }
        }
        (AGES, room)
    }
}
