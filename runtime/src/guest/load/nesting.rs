//! A bound on what a module may nest before anybody reads it.
//!
//! The readers of the component model's types call themselves for each type within a type, before any validator counts how
//! deep that goes: 3 KB of them overflow a thread's stack, which ends the process. So the bytes that can open such a level
//! are counted first.

/// Stack of the thread on which a module is checked, in bytes: several times what [`LEVELS_MAX`] levels take.
pub(super) const STACK: usize = 64 << 20;

/// Most levels. Modules that `wit-component` makes have fewer than ten, and a few hundred bytes that look like one.
const LEVELS_MAX: usize = 4_000;

/// Most modules and components within one file. Those made by `wit-component` have fewer than ten.
const PARTS_MAX: usize = 200;

/// The types of a component and of an instance: what opens a level.
const OPENING: [u8; 2] = [0x41, 0x42];

const MAGIC: &[u8] = b"\0asm";

/// What the names of the custom sections begin with that hold the types of a core module's world.
const WORLD: &[u8] = b"component-type";

const CUSTOM: u8 = 0;
const CORE_MODULE: u8 = 1;

/// Says what is too much.
pub(super) fn check(file: &[u8]) -> Result<(), String> {
    let parts = file.windows(MAGIC.len()).filter(|window| *window == MAGIC);
    if parts.count() > PARTS_MAX {
        return Err(format!(
            "it holds more than {PARTS_MAX} modules and components"
        ));
    }
    let is_core = file.get(4..8) == Some(&[1, 0, 0, 0]);
    // Code and what debuggers want are full of these bytes, and nobody reads types in them.
    let has_types = |section: &(u8, &[u8])| match (is_core, *section) {
        (true, (id, bytes)) => id == CUSTOM && is_about_types(bytes),
        (false, (id, _)) => id != CUSTOM && id != CORE_MODULE,
    };
    let with_types = Sections(file.get(8..).unwrap_or_default()).filter(has_types);
    let opening = |(_, bytes): (u8, &[u8])| bytes.iter().filter(|&b| OPENING.contains(b)).count();
    if with_types.map(opening).max() > Some(LEVELS_MAX) {
        return Err(format!(
            "its types may be nested deeper than {LEVELS_MAX} levels"
        ));
    }
    Ok(())
}

/// Whether a custom section has a name of those in which `wit-bindgen` leaves the world.
fn is_about_types(custom: &[u8]) -> bool {
    number(custom).is_some_and(|(_, name)| name.starts_with(WORLD))
}

/// The sections of a module or component, each with its number; ends where there is none.
struct Sections<'a>(&'a [u8]);

impl<'a> Iterator for Sections<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&id, rest) = self.0.split_first()?;
        let (length, rest) = number(rest)?;
        // One that is cut off is looked at as far as it goes.
        let (section, rest) = rest.split_at(length.min(rest.len()));
        self.0 = rest;
        Some((id, section))
    }
}

/// A number in LEB128 of at most 32 bits, and what follows it.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_usize;
    for (place, &byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leb(mut number: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }

    fn section(id: u8, payload: &[u8]) -> Vec<u8> {
        [&[id], &*leb(payload.len()), payload].concat()
    }

    /// A component whose one type is that of a component within one within one.
    fn nested(levels: usize) -> Vec<u8> {
        let types = [&[1], &*[0x41, 1, 1].repeat(levels), &[0x7f]].concat();
        [b"\0asm\x0d\0\x01\0", &*section(7, &types)].concat()
    }

    #[test]
    fn types_within_types_are_counted_before_they_are_read() {
        assert_eq!(check(&nested(LEVELS_MAX)), Ok(()));
        assert!(check(&nested(LEVELS_MAX + 1)).is_err());
        let name = [&[14], &b"component-type"[..]].concat();
        let custom = [&*name, &nested(LEVELS_MAX + 1)].concat();
        let core = [b"\0asm\x01\0\0\0", &*section(CUSTOM, &custom)].concat();
        assert!(check(&core).is_err());
        // Neither code nor what a debugger wants is a type, and what is cut off is no module.
        let code = vec![0x41; 10 * LEVELS_MAX];
        let debug = [&[11], &b".debug_info"[..], &code].concat();
        assert_eq!(
            check(&[b"\0asm\x01\0\0\0", &*section(CUSTOM, &debug)].concat()),
            Ok(())
        );
        assert_eq!(
            check(&[b"\0asm\x01\0\0\0", &*section(10, &code)].concat()),
            Ok(())
        );
        assert_eq!(check(b"\0asm\x01"), Ok(()));
    }

    #[test]
    fn a_file_of_many_components_is_refused() {
        let component = b"\0asm\x0d\0\x01\0";
        let many = section(4, component).repeat(PARTS_MAX);
        assert!(check(&[component, &*many].concat()).is_err());
    }
}
