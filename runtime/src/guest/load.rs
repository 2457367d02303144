//! From a file to a checked module: nothing is changed anywhere before all of this has passed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use super::bindings::{EXPORTS, IMPORTS, PACKAGE, ProjectionPre};
use super::engine::Engine;
use super::instance::{GuestState, confined, fault};
use super::limits::{GuestFault, GuestLimits};
use crate::definition::{Definition, DefinitionError};

mod nesting;

/// A checked and compiled projection module. Cheap to clone.
#[derive(Clone)]
pub struct GuestModule {
    /// What it says about itself.
    pub definition: Arc<Definition>,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub digest: Arc<str>,
    /// Size of the file in bytes.
    pub size: usize,
    pub(super) pre: ProjectionPre<GuestState>,
}

/// Why a file is not a usable projection module.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read it: {0}")]
    Unreadable(#[from] std::io::Error),
    /// Larger than the limit.
    #[error("it has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// The file's size in bytes.
        size: usize,
        /// `limits.module_mib`, in bytes.
        limit: usize,
    },
    /// No Wasm at all.
    #[error("it is not WebAssembly: it does not begin with `\\0asm`")]
    NotWasm,
    /// Wasm that is cut off, damaged, or uses what this host does not support.
    #[error("it is no valid WebAssembly module: {0}")]
    Invalid(String),
    /// An import that the world does not have.
    #[error("it imports {0:?}, which a projection module may not")]
    ForeignImport(String),
    /// Built against another version of the contract.
    #[error("it was built for {found}, this host offers {offered}", offered = IMPORTS[0])]
    OtherVersion {
        /// The interface it names.
        found: String,
    },
    /// Not a projection.
    #[error("it does not export `{0}`, so it is no Foldline projection")]
    MissingExport(&'static str),
    /// It cannot say what it is.
    #[error("its `describe` failed: {0}")]
    Describe(GuestFault),
    /// Compiling it takes too long.
    #[error("time limit reached: compiling it took more than {} s of processor time", .0.as_secs())]
    CompileTime(Duration),
    /// Compiling it does not come to an end.
    #[error("time limit reached: compiling it did not come to its end within {} s", .0.as_secs())]
    CompileWait(Duration),
    /// Compiling it takes too much memory.
    #[error("memory limit reached: compiling it took more than {0} bytes")]
    CompileMemory(u64),
    /// Compiling it came to an end of another kind.
    #[error("the process that compiles it did not come to its end: {0}")]
    Compiler(ExitStatus),
    /// It cannot be checked now.
    #[error("there is no thread to check it: {0}")]
    NoThread(std::io::Error),
    /// It cannot be compiled now.
    #[error("there is no process to compile it: {0}")]
    NoCompiler(std::io::Error),
    /// What it says breaks a rule.
    #[error("its definition is not valid: {0}")]
    Definition(#[from] DefinitionError),
}

impl LoadError {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "check that the file is there and readable for the host",
            Self::TooLarge { .. } => "build it in release mode, or raise limits.module_mib",
            Self::NotWasm => {
                "build it with `cargo build --release --target wasm32-unknown-unknown`"
            }
            Self::Invalid(_) => "copy the whole file again; if that does not help, build it again",
            Self::ForeignImport(import) if import.contains("wasi") => {
                "build it with --target wasm32-unknown-unknown: projections have no clock, files or network"
            }
            Self::ForeignImport(_) => "projections only import what foldline-sdk gives them",
            Self::OtherVersion { .. } => "build it with the foldline-sdk of this host's version",
            Self::MissingExport(_) => {
                "write the projection with foldline-sdk's #[projection] and build it as a cdylib"
            }
            Self::CompileTime(_) => {
                "split large functions of the module, or raise limits.compile_ms"
            }
            Self::CompileWait(_) => {
                "copy the file again when the machine has less to do, or raise limits.compile_ms"
            }
            Self::CompileMemory(_) => {
                "split large functions of the module, or raise limits.compile_mib"
            }
            Self::Compiler(_) => {
                "copy the file again to have it compiled again; if that does not help, build it again"
            }
            Self::NoThread(_) | Self::NoCompiler(_) => {
                "raise the limit of processes and threads for the host's user, or its memory; a file is tried again by itself"
            }
            Self::Describe(fault) if fault.is_by_a_limit() => fault.hint(),
            Self::Describe(_) | Self::Definition(_) => {
                "mend the #[projection] attribute or the table derives"
            }
        }
    }
}

impl GuestModule {
    /// Reads, checks and compiles a module.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn load(engine: &Engine, file: &Path, limits: GuestLimits) -> Result<Self, LoadError> {
        Self::from_bytes(engine, &Self::read(file, limits)?, limits)
    }

    /// A module file's bytes, if there are not too many.
    ///
    /// # Errors
    /// If it cannot be read, or is too large.
    pub fn read(file: &Path, limits: GuestLimits) -> Result<Vec<u8>, LoadError> {
        let size = std::fs::metadata(file)?.len() as usize;
        if size > limits.module_bytes {
            let limit = limits.module_bytes;
            return Err(LoadError::TooLarge { size, limit });
        }
        Ok(std::fs::read(file)?)
    }

    /// Checks and compiles a module that is in memory.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn from_bytes(
        engine: &Engine,
        bytes: &[u8],
        limits: GuestLimits,
    ) -> Result<Self, LoadError> {
        if let Some(compiler) = &engine.compiler {
            compiler.try_out(bytes)?;
        }
        with_room(|| Self::check(engine, bytes, limits))
    }

    fn check(engine: &Engine, bytes: &[u8], limits: GuestLimits) -> Result<Self, LoadError> {
        let component = compile(engine, bytes)?;
        check_imports(engine, &component)?;
        check_exports(engine, &component)?;
        let pre = engine
            .linker
            .instantiate_pre(&component)
            .and_then(ProjectionPre::new)
            .map_err(invalid)?;
        let definition = describe(&pre, limits)?;
        Ok(Self {
            definition: Arc::new(definition),
            digest: digest(bytes).into(),
            size: bytes.len(),
            pre,
        })
    }

    /// The first digits of the digest: enough to tell modules apart by eye.
    pub fn short_digest(&self) -> &str {
        &self.digest[..8]
    }
}

/// Looks at a module, on a thread with a stack for what it nests.
///
/// A module must not be able to end the host by what it makes a compiler do: `wit-component` is known to panic over
/// malformed custom sections, which validation does not look into.
pub(super) fn with_room<T: Send>(
    look: impl FnOnce() -> Result<T, LoadError> + Send,
) -> Result<T, LoadError> {
    let panicked = || Err(LoadError::Invalid("checking it panicked".to_owned()));
    let looked = || catch_unwind(AssertUnwindSafe(look)).unwrap_or_else(|_| panicked());
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("check".into());
        let thread = thread.stack_size(nesting::STACK);
        match thread.spawn_scoped(scope, looked) {
            Ok(looking) => looking.join().unwrap_or_else(|_| panicked()),
            Err(error) => Err(LoadError::NoThread(error)),
        }
    })
}

pub(super) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Component, LoadError> {
    nesting::check(bytes).map_err(LoadError::Invalid)?;
    match bytes {
        // Version 1, layer 0: a core module; `wit-bindgen` left the world in a custom section of it.
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            // `wit-component` trusts section lengths and panics over a module that is cut off.
            wasmtime::Module::validate(&engine.engine, bytes).map_err(invalid)?;
            let component = componentise(bytes).map_err(|error| classify(&error))?;
            Component::new(&engine.engine, component).map_err(invalid)
        }
        [0, b'a', b's', b'm', ..] => Component::new(&engine.engine, bytes).map_err(invalid),
        _ => Err(LoadError::NotWasm),
    }
}

fn componentise(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let encoder = wit_component::ComponentEncoder::default().validate(true);
    encoder.module(bytes)?.encode()
}

/// `wit-component` refuses foreign imports of a core module in its own words; say it in ours.
fn classify(error: &anyhow::Error) -> LoadError {
    let text = format!("{error:#}").replace('\n', " ");
    let import = text
        .split_once("failed to resolve import `")
        .and_then(|(_, rest)| rest.split_once('`'));
    match import {
        Some((name, _)) => LoadError::ForeignImport(name.to_owned()),
        None => LoadError::Invalid(text),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "used as a function in map_err"
)]
fn invalid(error: wasmtime::Error) -> LoadError {
    LoadError::Invalid(format!("{error:#}").replace('\n', " "))
}

fn check_imports(engine: &Engine, component: &Component) -> Result<(), LoadError> {
    for (name, _) in component.component_type().imports(&engine.engine) {
        if IMPORTS.contains(&name) {
            continue;
        }
        let found = name.to_owned();
        return Err(if name.starts_with(PACKAGE) {
            LoadError::OtherVersion { found }
        } else {
            LoadError::ForeignImport(found)
        });
    }
    Ok(())
}

fn check_exports(engine: &Engine, component: &Component) -> Result<(), LoadError> {
    let ty = component.component_type();
    let missing = |name: &&str| ty.get_export(&engine.engine, name).is_none();
    EXPORTS
        .iter()
        .copied()
        .find(missing)
        .map_or(Ok(()), |name| Err(LoadError::MissingExport(name)))
}

/// Asks the module what it is, on an instance of its own and within the limits.
fn describe(pre: &ProjectionPre<GuestState>, limits: GuestLimits) -> Result<Definition, LoadError> {
    let mut store = confined(
        pre.engine(),
        GuestState::new("(being checked)".into(), limits),
    );
    let described = pre
        .instantiate(&mut store)
        .and_then(|guest| guest.call_describe(&mut store));
    let definition: Definition = match described {
        Ok(definition) => definition.into(),
        Err(error) => return Err(LoadError::Describe(fault(&store, error))),
    };
    definition.check()?;
    Ok(definition)
}

/// SHA-256 in lower-case hexadecimal.
pub(super) fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
