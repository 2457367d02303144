//! What a module file would mean if it were put into the modules folder. Nothing is changed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::verdict::Verdict;
use super::{Message, Projection, Shared, Supervisor};
use crate::catalog::GenerationState;
use crate::config::{Projection as Settings, Promote};
use crate::definition::Definition;
use crate::guest::{GuestModule, LoadError};
use crate::projection::named;
use crate::projection::poison::PoisonPolicy;
use crate::source::{SourceError, position};

/// What would become of a module file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// `start`, `unchanged`, `declined`, `withdraw`, `reload`, `rebuild` or `refused`.
    pub verdict: String,
    /// What happens then, in words; why not, if it is refused.
    pub message: String,
    /// What to do about a refusal.
    pub hint: Option<String>,
    /// What the module is; none if it is no usable module.
    pub module: Option<PlannedModule>,
    /// How its definition differs from the live one.
    pub differences: Vec<String>,
    /// What has to be read for it, if something has.
    pub replay: Option<PlannedReplay>,
    /// What should be known of the module before it runs, a sentence each.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// What a module says of itself, and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedModule {
    /// The projection.
    pub name: String,
    /// The module's version.
    pub version: u32,
    /// Lower-case hexadecimal SHA-256 of the file.
    pub digest: String,
    /// The version that is live now.
    pub live_version: Option<u32>,
    /// The file in the modules folder that it would replace; none if any name will do.
    pub file: Option<String>,
}

/// What building a read model takes. Estimates are none where nothing was measured yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PlannedReplay {
    /// The stream that is read.
    pub stream: Option<String>,
    /// Events to read.
    pub events: Option<u64>,
    /// Why it cannot be read now, and what to do.
    pub obstacle: Option<String>,
    /// Why its rows may not be those of the whole history, a sentence each.
    pub warnings: Vec<String>,
    /// Events per second of a replay on this host.
    pub events_per_second: Option<f64>,
    /// The projection whose replay was measured.
    pub measured_with: Option<String>,
    /// Expected time, in seconds.
    pub seconds: Option<f64>,
    /// Bytes that it will need on the disk, going by the live read model.
    pub disk_bytes: Option<u64>,
}

/// Where a plan is waited for.
pub(super) type PlanReply = oneshot::Sender<Plan>;

/// What is known of the read model that is there, for estimates.
struct Measured {
    stream: Option<String>,
    rate: Option<(String, f64)>,
    /// Bytes, and the events they came from.
    size: Option<(u64, u64)>,
}

impl Plan {
    /// A file that is no usable module.
    fn unusable(error: &LoadError) -> Self {
        Self {
            verdict: "refused".into(),
            message: error.to_string(),
            hint: Some(error.hint().into()),
            module: None,
            differences: Vec::new(),
            replay: None,
            warnings: Vec::new(),
        }
    }

    /// Whether the file would not run.
    pub fn is_refused(&self) -> bool {
        self.verdict == "refused"
    }
}

impl Supervisor {
    /// Checks and compiles the module elsewhere, and comes back with it.
    pub(super) fn plan(&self, bytes: Vec<u8>, reply: PlanReply) {
        let (shared, reports) = (Arc::clone(&self.ground.shared), self.ground.reports.clone());
        let (stop, engine) = (self.ground.stop.clone(), shared.engine.clone());
        self.ground.tracker.spawn(async move {
            let limits = shared.guest_limits;
            let compile = tokio::task::spawn_blocking(move || {
                GuestModule::from_bytes(&engine, &bytes, limits)
            });
            let compiled = tokio::select! {
                // A stop does not wait for a compiler. Whoever asked is told by the reply that is dropped.
                () = stop.cancelled() => return,
                compiled = compile => compiled,
            };
            match compiled {
                Ok(Ok(module)) => {
                    // Nobody listens any more when the host stops.
                    let _not_heard = reports.send(Message::Planned { module, reply }).await;
                }
                Ok(Err(error)) => tell(reply, Plan::unusable(&error)),
                Err(panic) => {
                    let error = LoadError::Invalid(format!("looking at it failed: {panic}"));
                    tell(reply, Plan::unusable(&error));
                }
            }
        });
    }

    /// Compares the module with what there is, and asks the stream how much there is to read.
    pub(super) fn planned(&self, module: GuestModule, reply: PlanReply) {
        let name = &module.definition.name;
        let projection = self.projections.get(name);
        let file = projection.and_then(|projection| projection.file.clone());
        let any = format!("{name}.wasm");
        let verdict = self.verdict(file.as_deref().unwrap_or(&any), &module);
        let settings = self.settings(name);
        let mut plan = self.without_replay(&module, projection, &verdict, &settings);
        if !matches!(verdict, Verdict::Start | Verdict::Rebuild) {
            return tell(reply, plan);
        }
        let (shared, measured) = (Arc::clone(&self.ground.shared), self.measured(projection));
        tokio::spawn(async move {
            plan.replay = Some(replay(&shared, &module, &settings, measured).await);
            tell(reply, plan);
        });
    }

    fn without_replay(
        &self,
        module: &GuestModule,
        projection: Option<&Projection>,
        verdict: &Verdict,
        settings: &Settings,
    ) -> Plan {
        let definition = &module.definition;
        let live = projection.and_then(Projection::live);
        let live = live.map(|live| &live.record);
        let differences = live.map(|live| definition.differences(&live.definition));
        let (word, message) = in_words(verdict, &definition.name, projection, settings);
        Plan {
            verdict: word.into(),
            message,
            hint: match verdict {
                Verdict::Refused { hint, .. } => Some(hint.clone()),
                _ => None,
            },
            module: Some(PlannedModule {
                name: definition.name.clone(),
                version: definition.version,
                digest: module.digest.to_string(),
                live_version: live.map(|live| live.version),
                file: projection.and_then(|projection| projection.file.clone()),
            }),
            differences: differences.unwrap_or_default(),
            replay: None,
            warnings: self.poison_warning(definition, settings),
        }
    }

    /// That no events can be held, where that is so.
    fn poison_warning(&self, definition: &Definition, settings: &Settings) -> Vec<String> {
        let limits = self.ground.shared.config.recovery.poison();
        let (live, building) = (settings.on_poison, settings.on_poison_building);
        let policy = PoisonPolicy::new(live, building, false, limits);
        let warning = policy.warning(&definition.key);
        warning.into_iter().map(str::to_owned).collect()
    }

    fn measured(&self, projection: Option<&Projection>) -> Measured {
        let live = projection.and_then(Projection::live);
        let rate_of = |projection: &Projection| {
            let rate = projection.live()?.progress.replay_rate()?;
            Some((projection.name.clone(), rate))
        };
        // Of the others the slowest, so that the time is rather shorter than said.
        let others = self.projections.values().filter_map(rate_of);
        let slowest = others.min_by(|(_, one), (_, other)| one.total_cmp(other));
        let folder = &self.ground.shared.folder;
        Measured {
            stream: live.and_then(|live| live.progress.subscribe().borrow().stream.clone()),
            rate: projection.and_then(rate_of).or(slowest),
            size: live.map(|live| {
                let checkpoint = live.progress.checkpoint();
                (folder.size_of(&live.record.file), checkpoint)
            }),
        }
    }
}

fn in_words(
    verdict: &Verdict,
    name: &str,
    projection: Option<&Projection>,
    settings: &Settings,
) -> (&'static str, String) {
    let version_of = |state| {
        let found = projection.and_then(|projection| projection.of_state(state));
        found.map(|hosted| hosted.record.version)
    };
    let building = version_of(GenerationState::Building);
    match verdict {
        Verdict::Start => (
            "start",
            "a read model is begun and served from the start".into(),
        ),
        Verdict::Unchanged => (
            "unchanged",
            match projection.is_none_or(|projection| projection.file.is_some()) {
                true => "nothing: it runs or is being built already".into(),
                false => "it is stopped for want of its file, and goes on where it was".into(),
            },
        ),
        Verdict::Declined => (
            "declined",
            "nothing: it was taken back, and comes again only after its file has held another module".into(),
        ),
        Verdict::Withdraw => (
            "withdraw",
            "it is what is live: what is being built is given up".into(),
        ),
        Verdict::Reload => ("reload", reload_in_words(projection)),
        Verdict::Rebuild => ("rebuild", rebuild_in_words(name, building, settings)),
        Verdict::Refused { error, .. } => ("refused", error.clone()),
    }
}

fn reload_in_words(projection: Option<&Projection>) -> String {
    let rebuilt = projection.and_then(Projection::rebuilt);
    let other = projection.and_then(Projection::built);
    let anew = match (rebuilt, other) {
        (Some(_), _) => "; the rebuild of this version begins anew with it".to_owned(),
        (None, Some(other)) => format!(
            "; version {}, which is built or has failed, is given up for it",
            other.record.version
        ),
        (None, None) => String::new(),
    };
    format!("it is swapped in between two commits; rows and checkpoint stay{anew}")
}

fn rebuild_in_words(name: &str, building: Option<u32>, settings: &Settings) -> String {
    let instead = building.map_or_else(String::new, |version| {
        format!("; version {version}, which is being built, is given up for it")
    });
    let then = match settings.promote {
        Promote::Auto => "takes its place when it has caught up".to_owned(),
        Promote::Manual => format!("takes its place by `foldline promote {name}`"),
    };
    format!("a read model of its own is built beside the live one and {then}{instead}")
}

/// What there is to read, and how long that takes going by what was measured.
async fn replay(
    shared: &Shared,
    module: &GuestModule,
    settings: &Settings,
    measured: Measured,
) -> PlannedReplay {
    let (measured_with, rate) = measured.rate.unzip();
    let mut replay = PlannedReplay {
        stream: settings.stream.clone().or(measured.stream),
        events_per_second: rate,
        measured_with,
        ..PlannedReplay::default()
    };
    match to_read(shared, module, settings, &mut replay).await {
        Ok(events) => {
            replay.events = Some(events);
            let rate = rate.filter(|rate| *rate > 0.0);
            replay.seconds = rate.map(|rate| events as f64 / rate);
            replay.disk_bytes = measured.size.map(|(bytes, of)| {
                let grown = events as f64 / of.max(1) as f64;
                (bytes as f64 * grown.max(1.0)) as u64
            });
        }
        Err(error) => {
            let hint = named(error.hint(), &module.definition.name);
            replay.obstacle = Some(format!("{error}; {hint}"));
        }
    }
    replay
}

/// Number of events from where the projection begins to the stream's end; deleted ones in between are counted.
async fn to_read(
    shared: &Shared,
    module: &GuestModule,
    settings: &Settings,
    replay: &mut PlannedReplay,
) -> Result<u64, SourceError> {
    let filters = module.definition.filters().unwrap_or_default();
    let name = match &replay.stream {
        Some(stream) => stream.clone(),
        None => shared.source.find_stream(&filters).await?,
    };
    let begun = position::check(
        &*shared.source,
        &name,
        None,
        settings.start,
        settings.on_lost_events,
    )
    .await?;
    replay.stream = Some(name);
    replay.warnings = begun.doubts(&filters);
    replay.warnings.extend(begun.forgets);
    Ok(begun.last_sequence.saturating_sub(begun.after))
}

fn tell(reply: PlanReply, plan: Plan) {
    // A client that has gone away is not told.
    let _not_heard = reply.send(plan);
}
