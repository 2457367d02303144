//! What a module file means for the projection that runs under its name. Decided before anything changes.

use crate::guest::GuestModule;

/// What becomes of a module file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing runs under its name.
    Start,
    /// It is what runs.
    Unchanged,
    /// Same version and definition: swapped in at a commit boundary.
    Reload,
    /// It may not run; what runs goes on.
    Refused {
        error: String,
        hint: &'static str,
    },
}

/// Compares a module file with the one that runs under its name.
pub(super) fn of(
    file: &str,
    module: &GuestModule,
    running_file: &str,
    running: &GuestModule,
) -> Verdict {
    let (new, live) = (&module.definition, &running.definition);
    let refused = |error, hint| Verdict::Refused { error, hint };
    if file != running_file {
        return refused(
            format!("projection {} already runs from {running_file}", new.name),
            "remove one of the two files, or give one projection another name",
        );
    }
    if module.digest == running.digest {
        return Verdict::Unchanged;
    }
    if new.version != live.version {
        return refused(
            format!("{} is version {}, version {} runs", new.name, new.version, live.version),
            "a module is only reloaded in the same version; to build another version, run a second host \
             with another data folder, or move this projection's data folder away and start again",
        );
    }
    if new != live {
        return refused(
            format!(
                "{} is version {} as the one that runs, but its tables, subjects or key differ",
                new.name, new.version
            ),
            "put the old definition back, or count the version up",
        );
    }
    Verdict::Reload
}
