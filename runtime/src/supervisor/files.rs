//! What module files mean for the projections of their names. A file that is refused changes nothing for what runs.

use std::sync::Arc;

use super::Supervisor;
use super::verdict::{self, Module, Present, Verdict};
use crate::catalog::{CatalogError, GenerationState, Incident, NewGeneration, Purpose};
use crate::event::Sequence;
use crate::guest::GuestModule;
use crate::guest::folder::Finding;
use crate::store::folder::GenerationFile;
use crate::store::{DAMAGED, WRONG};

/// What to do about a file that the catalog does not know and that cannot be taken over.
const UNKNOWN_FILE: &str = "move that file away: the read model is then taken over from another generation's file, or \
                            built from the stream";

/// A module file that passed every check.
#[derive(Clone)]
pub(super) struct ModuleFile {
    pub(super) module: GuestModule,
    pub(super) bytes: Arc<[u8]>,
}

impl Supervisor {
    /// Takes in what changed in the modules folder since the last look.
    pub(super) fn take(&mut self, findings: Vec<Finding>) {
        let unfinished = |finding: &Finding| matches!(finding, Finding::Unfinished { .. });
        let all_known = !findings.iter().any(unfinished);
        for finding in findings {
            match finding {
                Finding::Loaded {
                    file,
                    module,
                    bytes,
                } => {
                    self.broken.remove(&file);
                    self.files.insert(file, ModuleFile { module, bytes });
                }
                Finding::Removed { file } => {
                    self.broken.remove(&file);
                    self.files.remove(&file);
                    self.directory.forget_refused(&file);
                }
                Finding::Unfinished { file } => {
                    self.broken.insert(file);
                }
                Finding::Refused { file, error } => {
                    self.refuse(&file, error.to_string(), error.hint());
                    self.broken.insert(file);
                }
            }
        }
        self.let_go_of_files();
        // Also what is known already: a refusal's cause may be gone, a name or a data folder may be free.
        for (file, content) in self.files.clone() {
            if !self.broken.contains(&file) {
                self.consider(&file, &content);
            }
        }
        let names: Vec<_> = self.projections.keys().cloned().collect();
        for name in names {
            self.settle(&name);
        }
        if all_known && !std::mem::replace(&mut self.settings_checked, true) {
            self.name_settings_of_nobody();
        }
        self.directory.fill();
    }

    /// A section of the configuration may be misspelt, and would go unnoticed.
    fn name_settings_of_nobody(&self) {
        let configured = self.ground.shared.config.projection.keys();
        for name in configured.filter(|name| !self.projections.contains_key(*name)) {
            tracing::warn!(
                hint = "correct the name, unless its module is still to come",
                "the configuration has [projection.{name}], and there is no projection of that name"
            );
        }
    }

    /// Starts what has a file and does not run, and stops what has none.
    pub(super) fn settle(&mut self, name: &str) {
        if let Some(mut projection) = self.projections.remove(name) {
            // What its file holds may have changed since it was said.
            let said = self.directory.get(name).and_then(|entry| entry.declined);
            if said != self.declined_in_words(&projection) {
                self.publish(&projection);
            }
            self.run_or_stop(&mut projection);
            self.projections.insert(name.to_owned(), projection);
        }
    }

    /// A projection whose file is gone has none. Its data stays.
    fn let_go_of_files(&mut self) {
        let (files, broken) = (&self.files, &self.broken);
        for projection in self.projections.values_mut() {
            let is_gone = |file: &mut String| !files.contains_key(file) && !broken.contains(file);
            if let Some(file) = projection.file.take_if(is_gone) {
                tracing::info!(
                    projection = projection.name,
                    file,
                    "module file is gone: stopping unless another one is there"
                );
            }
        }
    }

    fn consider(&mut self, file: &str, content: &ModuleFile) {
        let name = &content.module.definition.name;
        let verdict = self.verdict(file, &content.module);
        if let Verdict::Refused { error, hint } = verdict {
            self.refuse(file, error, &hint);
            // What lay there before has made way for it all the same.
            if self.runs_from(name, file)
                && let Err(error) = self.not_declined(name, &content.module.digest)
            {
                tracing::error!(projection = name, hint = error.hint(), "{error}");
            }
            return;
        }
        self.directory.forget_refused(file);
        self.take_file(file, name);
        let done = self.not_declined(name, &content.module.digest);
        let stays = matches!(verdict, Verdict::Unchanged | Verdict::Declined);
        let done = match stays && self.runs_from(name, file) {
            true => done,
            false => done.and_then(|()| self.apply(file, content, &verdict)),
        };
        if let Err(error) = done {
            self.refuse(file, error.to_string(), error.hint());
        }
    }

    fn runs_from(&self, name: &str, file: &str) -> bool {
        let projection = self.projections.get(name);
        projection.is_some_and(|projection| projection.file.as_deref() == Some(file))
    }

    /// What the file means, without changing anything.
    pub(super) fn verdict(&self, file: &str, module: &GuestModule) -> Verdict {
        let name = &module.definition.name;
        let Some(projection) = self.projections.get(name) else {
            return self.verdict_over_file(module);
        };
        let other = projection.file.as_deref().filter(|other| *other != file);
        if let Some(other) = other.filter(|other| self.may_hold(other, name)) {
            return Verdict::Refused {
                error: format!("projection {name} already runs from {other}"),
                hint: "remove one of the two files, or give one projection another name".into(),
            };
        }
        let Some(live) = projection.live() else {
            // A host may have died while it entered the projection.
            return self.verdict_over_file(module);
        };
        let standby = projection.of_state(GenerationState::Standby);
        let present = Present {
            live: Module::of(&live.record),
            built: projection.built().map(|built| Module::of(&built.record)),
            standby: standby.map(|standby| Module::of(&standby.record)),
            declined: projection.declined.as_deref(),
        };
        verdict::of(Module::new(module), present)
    }

    /// Whether the file is still this projection's; it is not where it was given another one's module, as when two files
    /// are swapped.
    fn may_hold(&self, file: &str, name: &str) -> bool {
        let content = self.files.get(file);
        content.is_none_or(|content| content.module.definition.name == name)
    }

    /// A read model that the catalog does not know may lie there: of a catalog that was lost, or of an older Foldline.
    fn verdict_over_file(&self, module: &GuestModule) -> Verdict {
        match self
            .ground
            .shared
            .folder
            .generation(&module.definition.name)
        {
            Ok(None) => Verdict::Start,
            Ok(Some(found)) => {
                let live = Module {
                    definition: &found.meta.definition,
                    digest: &found.meta.digest,
                };
                let alone = Present {
                    live,
                    built: None,
                    standby: None,
                    declined: None,
                };
                verdict::of(Module::new(module), alone)
            }
            Err(error) => Verdict::Refused {
                error: error.to_string(),
                // The catalog knows nothing of it, so there is nothing to rebuild.
                hint: match error.code() {
                    DAMAGED | WRONG => UNKNOWN_FILE.to_owned(),
                    _ => error.hint().to_owned(),
                },
            },
        }
    }

    fn apply(
        &mut self,
        file: &str,
        content: &ModuleFile,
        verdict: &Verdict,
    ) -> Result<(), CatalogError> {
        let module = &content.module;
        let name = &module.definition.name;
        let catalog = &self.ground.shared.catalog;
        catalog.store_module(name, &module.digest, file, &content.bytes)?;
        catalog.set_module_file(name, file)?;
        if self.has_none(name) {
            self.take_over(module)?;
        }
        match verdict {
            Verdict::Start if self.has_none(name) => {
                let (state, purpose) = (GenerationState::Live, Purpose::Promote);
                self.add(module, state, purpose, None, None)?;
            }
            Verdict::Rebuild => {
                let (state, purpose) = (GenerationState::Building, Purpose::Promote);
                self.add(module, state, purpose, None, None)?;
            }
            Verdict::Withdraw => self.withdraw(name)?,
            Verdict::Reload => self.reload(module)?,
            Verdict::Start | Verdict::Unchanged | Verdict::Declined | Verdict::Refused { .. } => {}
        }
        self.follow(name)?;
        if let Some(projection) = self.projections.get_mut(name) {
            projection.file = Some(file.to_owned());
            for hosted in &projection.generations {
                hosted.progress.file(file);
            }
        }
        self.settle(name);
        Ok(())
    }

    /// The file belongs to this projection now; another one that had it is without.
    fn take_file(&mut self, file: &str, name: &str) {
        for projection in self.projections.values_mut() {
            if projection.name != name && projection.file.take_if(|held| *held == file).is_some() {
                tracing::info!(
                    projection = projection.name,
                    file,
                    "module file holds {name} now: stopping"
                );
            }
        }
    }

    fn has_none(&self, name: &str) -> bool {
        let projection = self.projections.get(name);
        projection.is_none_or(|projection| projection.live().is_none())
    }

    /// Enters a read model into the catalog that lies in the data folder without being known.
    fn take_over(&mut self, module: &GuestModule) -> Result<(), CatalogError> {
        let name = &module.definition.name;
        let shared = &self.ground.shared;
        // That it can be read was seen for the verdict.
        let Ok(Some(GenerationFile { path, meta })) = shared.folder.generation(name) else {
            return Ok(());
        };
        let file = shared.folder.name_of(&path);
        tracing::warn!(
            projection = name,
            file,
            "read model taken over into the catalog as the live one"
        );
        // The module that built it is not known any more; one of the same version may go on.
        let same = meta.definition == *module.definition;
        shared.catalog.add(&NewGeneration {
            definition: &meta.definition,
            digest: if same { &module.digest } else { &meta.digest },
            file: &file,
            state: GenerationState::Live,
            purpose: Purpose::Promote,
            started_from: None,
            incident: None,
        })?;
        self.follow(name)
    }

    /// Enters a generation that the module is to build.
    pub(super) fn add(
        &self,
        module: &GuestModule,
        state: GenerationState,
        purpose: Purpose,
        started_from: Option<Sequence>,
        incident: Option<&Incident>,
    ) -> Result<u32, CatalogError> {
        let (definition, shared) = (&module.definition, &self.ground.shared);
        // A name that cannot be looked up is not taken for free.
        let is_taken = |file: &str| shared.catalog.is_file_taken(file).unwrap_or(true);
        let file = shared
            .folder
            .free_name(definition, &module.digest, is_taken);
        let number = shared.catalog.add(&NewGeneration {
            definition,
            digest: &module.digest,
            file: &file,
            state,
            purpose,
            started_from,
            incident,
        })?;
        tracing::info!(
            projection = definition.name,
            version = definition.version,
            generation = number,
            file,
            "new generation, {state}"
        );
        Ok(number)
    }

    /// What is being built is given up, because its file holds the live module again.
    fn withdraw(&self, name: &str) -> Result<(), CatalogError> {
        let built = self.projections.get(name).and_then(|found| found.built());
        let Some(built) = built else { return Ok(()) };
        tracing::info!(
            projection = name,
            version = built.record.version,
            "the file holds the live module again: what was being built is given up"
        );
        self.ground.shared.catalog.retire(name, built.record.number)
    }

    /// The module feeds the live generation from here on. What it builds of that version begins anew with it: rows of
    /// two modules are not what a rebuild is asked for, and one that has failed may have waited for this module.
    fn reload(&self, module: &GuestModule) -> Result<(), CatalogError> {
        let name = &module.definition.name;
        let Some(projection) = self.projections.get(name) else {
            return Ok(());
        };
        let Some(live) = projection.live() else {
            return Ok(());
        };
        // First what is built: a host that dies in between finds the file to be another module than the live one's, and
        // comes here again.
        if let Some(built) = projection.rebuilt() {
            let (state, purpose) = (GenerationState::Building, Purpose::Promote);
            let incident = live.incident().or_else(|| built.record.incident.clone());
            let from = built.record.started_from;
            self.add(module, state, purpose, from, incident.as_ref())?;
        }
        let catalog = &self.ground.shared.catalog;
        catalog.reload(name, live.record.number, &module.digest)?;
        live.reload(module);
        Ok(())
    }
}
