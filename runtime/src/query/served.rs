//! The open read models, and how many reads may run at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::HttpProblem;
use crate::projection::directory::ReadModelFile;
use crate::store::sqlite::reader::Reader;

/// Reads that run at once in the whole host, each on a thread of its own.
const READS_MAX: usize = 16;

/// Reads that run at once on one read model, so that a slow one leaves room for the others.
const READS_PER_FILE_MAX: usize = 8;

/// How long a read waits for its turn.
const TURN_WAIT: Duration = Duration::from_secs(5);

/// KiB of answers that are being sent at once, in the whole host. A read's turn is over when its rows are read, but
/// a slow client takes its time with them.
const ANSWERS_KIB_MAX: u32 = 256 * 1024;

/// One reader per projection, for the file that is served now.
#[derive(Debug)]
pub(super) struct Served {
    readers: Mutex<HashMap<String, Arc<OpenFile>>>,
    turns: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

#[derive(Debug)]
struct OpenFile {
    file: Arc<ReadModelFile>,
    reader: Arc<Reader>,
    turns: Arc<Semaphore>,
}

impl OpenFile {
    fn new(file: &Arc<ReadModelFile>) -> Arc<Self> {
        Arc::new(Self {
            file: file.clone(),
            reader: Arc::new(Reader::new(&file.path)),
            turns: Arc::new(Semaphore::new(READS_PER_FILE_MAX)),
        })
    }
}

/// A reader, and the right to use it.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) reader: Arc<Reader>,
    _file: OwnedSemaphorePermit,
    _host: OwnedSemaphorePermit,
}

struct Sending {
    answer: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Sending {
    fn as_ref(&self) -> &[u8] {
        &self.answer
    }
}

impl Default for Served {
    fn default() -> Self {
        Self {
            readers: Mutex::default(),
            turns: Arc::new(Semaphore::new(READS_MAX)),
            answers: Arc::new(Semaphore::new(ANSWERS_KIB_MAX as usize)),
        }
    }
}

impl Served {
    /// Waits for a turn to read a file that is served.
    pub(super) async fn turn(&self, file: &Arc<ReadModelFile>) -> Result<Turn, HttpProblem> {
        self.turn_on(self.open(file)).await
    }

    /// The same for a file that is not served: its connection is closed when it was read.
    pub(super) async fn turn_beside(&self, file: &Arc<ReadModelFile>) -> Result<Turn, HttpProblem> {
        self.turn_on(OpenFile::new(file)).await
    }

    async fn turn_on(&self, open: Arc<OpenFile>) -> Result<Turn, HttpProblem> {
        let both = async {
            // First the file's turn: whoever waits for a busy file must not hold a turn of the host.
            let file = open.turns.clone().acquire_owned().await;
            (file, self.turns.clone().acquire_owned().await)
        };
        match tokio::time::timeout(TURN_WAIT, both).await {
            Ok((Ok(file), Ok(host))) => Ok(Turn {
                reader: open.reader.clone(),
                _file: file,
                _host: host,
            }),
            // The semaphores are never closed, so it was the time.
            _ => Err(HttpProblem::busy(format!(
                "{READS_PER_FILE_MAX} reads of this read model or {READS_MAX} of the host are under way"
            ))
            .hint("try again; filter on the key or an indexed column to make reads short")),
        }
    }

    /// The answer as it is sent: its memory is counted until the last of it has gone to the client.
    pub(super) fn sending(&self, answer: Vec<u8>) -> Result<Bytes, HttpProblem> {
        let kib = u32::try_from(answer.capacity().div_ceil(1024)).unwrap_or(u32::MAX);
        match self.answers.clone().try_acquire_many_owned(kib) {
            Ok(room) => Ok(Bytes::from_owner(Sending {
                answer,
                _room: room,
            })),
            Err(_) => Err(HttpProblem::busy(format!(
                "answers of {} MiB are being sent",
                ANSWERS_KIB_MAX / 1024
            ))
            .hint("try again in a moment, or ask for fewer rows with limit=")),
        }
    }

    /// The reader of the file that is served now. A file that is served no longer is closed when its last
    /// read ends.
    fn open(&self, file: &Arc<ReadModelFile>) -> Arc<OpenFile> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let name = &file.definition.name;
        if let Some(open) = readers.get(name)
            && Arc::ptr_eq(&open.file, file)
        {
            return open.clone();
        }
        let open = OpenFile::new(file);
        readers.insert(name.clone(), open.clone());
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_answers_is_counted_until_they_are_gone() {
        let served = Served::default();
        let half = vec![b'x'; ANSWERS_KIB_MAX as usize * 1024 / 2];
        let first = served.sending(half.clone()).unwrap();
        let second = served.sending(half.clone()).unwrap();
        assert!(served.sending(b"[]".to_vec()).is_err());
        let last_of_first = first.slice(first.len() - 1..);
        drop(first);
        assert!(served.sending(half.clone()).is_err());
        drop(last_of_first);
        assert_eq!(served.sending(half).unwrap().len(), second.len());
    }
}
