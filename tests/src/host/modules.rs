//! Files that come and go in a host's modules folder.

use std::fs::{self, File};
use std::io::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Host;

/// Between two pieces of a file that is written slowly.
const PIECE_PAUSE: Duration = Duration::from_millis(150);

impl Host {
    /// Puts a file into the modules folder in one step, as a careful deployment does.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn drop_module(&self, file: &str, bytes: &[u8]) {
        let unfinished = self.folder(file);
        fs::write(&unfinished, bytes).expect("the module can be written");
        fs::rename(&unfinished, self.modules().join(file)).expect("the module can be moved");
    }

    /// Writes a file in place piece by piece, as a copy over a slow network does. Gives the longest time for
    /// which nothing was written: more than it should be where this process had to wait for the machine.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn drop_module_slowly(&self, file: &str, bytes: &[u8]) -> Duration {
        let mut copy = File::create(self.modules().join(file)).expect("the module can be written");
        let (mut longest, mut written) = (Duration::ZERO, Instant::now());
        for piece in bytes.chunks(bytes.len().div_ceil(8)) {
            copy.write_all(piece).expect("the module can be written");
            longest = longest.max(written.elapsed());
            written = Instant::now();
            sleep(PIECE_PAUSE);
        }
        longest
    }

    /// Gives a file in the modules folder another name.
    ///
    /// # Panics
    /// If it is not there.
    pub fn rename_module(&self, from: &str, to: &str) {
        let modules = self.modules();
        fs::rename(modules.join(from), modules.join(to)).expect("the module can be renamed");
    }

    /// Takes a file out of the modules folder.
    ///
    /// # Panics
    /// If it is not there.
    pub fn remove_module(&self, file: &str) {
        fs::remove_file(self.modules().join(file)).expect("the module can be removed");
    }
}
