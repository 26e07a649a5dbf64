//! Jobs: slow or external work, enqueued in the transaction that makes it necessary and run at least
//! once. A worker claims a job under a lease; if the worker dies, the lease runs out and the job is
//! claimed again. So work must be idempotent. A job that fails is retried with back-off; after the
//! last attempt it is `failed` and stays on the operator's list until [`retry_failed`].
//!
//! What kinds there are and what they do is the gateway's.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{Condition, QueryOrder, QuerySelect};

use crate::database::{Read, Storage, Tx, sealed::Connection as _};
use crate::error::StorageError;
use crate::ids::random_bytes;
use crate::row::{Row, integer};
use crate::text_enum::text_enum;

const TABLE: &str = "jobs";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "jobs")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub kind: String,
        pub ref_id: String,
        pub status: String,
        pub run_after_ms: i64,
        pub attempts: i64,
        pub last_error: Option<String>,
        pub lease: Option<String>,
        pub lease_until_ms: Option<i64>,
        pub finished_ms: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::Column;

text_enum! {
    /// How far a job is.
    pub enum JobStatus {
        /// Waits for its time.
        Ready => "ready",
        /// A worker has it under a lease.
        Running => "running",
        /// Done.
        Done => "done",
        /// Failed for good; an operator must look.
        Failed => "failed",
    }
}

/// Id of a job; later jobs have larger ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub i64);

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What to do.
    pub kind: String,
    /// To what, for example an operation's id.
    pub ref_id: String,
    /// How far it is.
    pub status: JobStatus,
    /// Not before this time.
    pub run_after_ms: u64,
    /// How often it was claimed.
    pub attempts: u32,
    /// Why it failed last.
    pub last_error: Option<String>,
}

/// A job that this worker may run until the lease ends.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The job.
    pub job: Job,
    /// When the lease ends; see [`renew`].
    pub lease_until_ms: u64,
    /// Random, so that an older claim on the same job is told apart.
    lease: String,
}

/// When to try again: after `first_ms`, then twice as long each time up to `max_ms`, in all
/// `max_attempts` times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOff {
    /// The wait after the first failure.
    pub first_ms: u64,
    /// The longest wait.
    pub max_ms: u64,
    /// How often a job is tried before it is given up; at least once.
    pub max_attempts: u32,
}

impl Default for BackOff {
    /// 1 s, 2 s, 4 s, … 5 minutes; 20 attempts, about an hour.
    fn default() -> Self {
        Self { first_ms: 1_000, max_ms: 300_000, max_attempts: 20 }
    }
}

impl BackOff {
    /// The wait after the `attempts`-th failure.
    #[must_use]
    pub fn delay_ms(&self, attempts: u32) -> u64 {
        let doublings = attempts.saturating_sub(1).min(63);
        self.first_ms.saturating_mul(1 << doublings).min(self.max_ms)
    }
}

/// What became of a job that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It runs again at this time.
    RetryAt(u64),
    /// That was the last attempt.
    GaveUp,
}

/// Adds a job, to run at `run_after_ms` or later.
///
/// # Errors
/// If the database failed.
pub async fn enqueue(tx: &Tx, kind: &str, ref_id: &str, run_after_ms: u64) -> Result<JobId, StorageError> {
    use sea_orm::ActiveValue::{NotSet, Set};
    let row = entity::ActiveModel {
        id: NotSet,
        kind: Set(kind.to_owned()),
        ref_id: Set(ref_id.to_owned()),
        status: Set(JobStatus::Ready.to_string()),
        run_after_ms: Set(integer(run_after_ms)?),
        attempts: Set(0),
        last_error: Set(None),
        lease: Set(None),
        lease_until_ms: Set(None),
        finished_ms: Set(None),
    };
    let done = entity::Entity::insert(row).exec(tx.connection()).await.map_err(StorageError::database(TABLE))?;
    Ok(JobId(done.last_insert_id))
}

/// Claims the job that has been due longest, for `lease_ms`. A job whose lease ended counts as due
/// again; if it used up its attempts that way, it is failed here instead of crashing workers for ever.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn claim(
    storage: &Storage, now_ms: u64, lease_ms: u64, back_off: &BackOff,
) -> Result<Option<Claim>, StorageError> {
    // An idle worker polls; it should not queue as a writer each time.
    if next_due_model(storage, now_ms).await?.is_none() {
        return Ok(None);
    }
    storage
        .transaction(async |tx| {
            while let Some(model) = next_due_model(tx, now_ms).await? {
                let job = decode(model)?;
                if job.status == JobStatus::Running && job.attempts >= back_off.max_attempts {
                    give_up(tx, job.id, "the worker died or hung on every attempt", now_ms).await?;
                    continue;
                }
                return Ok(Some(take(tx, job, now_ms, lease_ms).await?));
            }
            Ok(None)
        })
        .await
}

/// Prolongs the lease to `until_ms`, for work that takes long.
///
/// # Errors
/// [`StorageError::LeaseLost`] if somebody else has the job now.
pub async fn renew(tx: &Tx, claim: &mut Claim, until_ms: u64) -> Result<(), StorageError> {
    let mut columns = unchanged();
    columns.lease_until_ms = sea_orm::Set(Some(integer(until_ms)?));
    update_claimed(tx, claim, columns).await?;
    claim.lease_until_ms = until_ms;
    Ok(())
}

/// The job is done. Call it in the transaction that writes the job's result.
///
/// # Errors
/// [`StorageError::LeaseLost`] if somebody else has the job now: roll back.
pub async fn finish(tx: &Tx, claim: &Claim, now_ms: u64) -> Result<(), StorageError> {
    update_claimed(tx, claim, ended(JobStatus::Done, now_ms)?).await
}

/// The job failed: it is tried again later, or given up after the last attempt.
///
/// # Errors
/// [`StorageError::LeaseLost`] if somebody else has the job now.
pub async fn fail(
    tx: &Tx, claim: &Claim, error: &str, now_ms: u64, back_off: &BackOff,
) -> Result<Failed, StorageError> {
    if claim.job.attempts >= back_off.max_attempts {
        fail_for_good(tx, claim, error, now_ms).await?;
        return Ok(Failed::GaveUp);
    }
    let again_ms = now_ms.saturating_add(back_off.delay_ms(claim.job.attempts));
    let mut columns = unleased(JobStatus::Ready);
    columns.run_after_ms = sea_orm::Set(integer(again_ms)?);
    columns.last_error = sea_orm::Set(Some(error.to_owned()));
    update_claimed(tx, claim, columns).await?;
    Ok(Failed::RetryAt(again_ms))
}

/// The job failed in a way that trying again cannot mend.
///
/// # Errors
/// [`StorageError::LeaseLost`] if somebody else has the job now.
pub async fn fail_for_good(tx: &Tx, claim: &Claim, error: &str, now_ms: u64) -> Result<(), StorageError> {
    let mut columns = ended(JobStatus::Failed, now_ms)?;
    columns.last_error = sea_orm::Set(Some(error.to_owned()));
    update_claimed(tx, claim, columns).await
}

/// When the next job is due: a time in the past if one is due now.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn next_due(read: &impl Read) -> Result<Option<u64>, StorageError> {
    let first = |status: JobStatus, column: Column| {
        entity::Entity::find().filter(Column::Status.eq(status.as_str())).order_by_asc(column).one(read.connection())
    };
    let ready = first(JobStatus::Ready, Column::RunAfterMs)
        .await
        .map_err(StorageError::database(TABLE))?
        .map(|model| model.run_after_ms);
    let expiring = first(JobStatus::Running, Column::LeaseUntilMs)
        .await
        .map_err(StorageError::database(TABLE))?
        .and_then(|model| model.lease_until_ms);
    let next = ready.into_iter().chain(expiring).min();
    Ok(next.map(|time_ms| u64::try_from(time_ms).unwrap_or(0)))
}

/// Jobs that failed for good, latest first.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn failed(read: &impl Read, limit: u64) -> Result<Vec<Job>, StorageError> {
    entity::Entity::find()
        .filter(Column::Status.eq(JobStatus::Failed.as_str()))
        .order_by_desc(Column::FinishedMs)
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .into_iter()
        .map(decode)
        .collect()
}

/// Jobs that failed and will be tried again, those that run next first.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn retrying(read: &impl Read, limit: u64) -> Result<Vec<Job>, StorageError> {
    let unfinished = [JobStatus::Ready.as_str(), JobStatus::Running.as_str()];
    entity::Entity::find()
        .filter(Column::Status.is_in(unfinished))
        .filter(Column::LastError.is_not_null())
        .order_by_asc(Column::RunAfterMs)
        .order_by_asc(Column::Id)
        .limit(limit)
        .all(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .into_iter()
        .map(decode)
        .collect()
}

/// How many jobs of a kind are in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// What to do.
    pub kind: String,
    /// How far they are.
    pub status: JobStatus,
    /// Have they failed before?
    pub has_failed: bool,
    /// How many.
    pub jobs: u64,
}

/// Jobs that are not done, counted.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn counts(read: &impl Read) -> Result<Vec<Count>, StorageError> {
    let rows: Vec<(String, String, i64, i64)> = entity::Entity::find()
        .select_only()
        .column(Column::Kind)
        .column(Column::Status)
        .column_as(Column::Id.count(), "jobs")
        .column_as(Column::LastError.count(), "failed")
        .filter(Column::Status.ne(JobStatus::Done.as_str()))
        .group_by(Column::Kind)
        .group_by(Column::Status)
        .group_by(Column::LastError.is_null())
        .into_tuple()
        .all(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    let count = |(kind, status, jobs, failed): (String, String, i64, i64)| {
        let row = Row { table: TABLE, key: &kind };
        let (status, jobs) = (row.parse("status", &status)?, row.number("count", jobs)?);
        Ok(Count { status, has_failed: failed > 0, jobs, kind })
    };
    rows.into_iter().map(count).collect()
}

/// All jobs of one kind about one thing, oldest first.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn about(read: &impl Read, kind: &str, ref_id: &str) -> Result<Vec<Job>, StorageError> {
    entity::Entity::find()
        .filter(Column::Kind.eq(kind))
        .filter(Column::RefId.eq(ref_id))
        .order_by_asc(Column::Id)
        .all(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .into_iter()
        .map(decode)
        .collect()
}

/// An operator has a failed job tried again, from its first attempt.
///
/// # Errors
/// [`StorageError::NotFound`] if there is no such failed job.
pub async fn retry_failed(tx: &Tx, id: JobId, now_ms: u64) -> Result<(), StorageError> {
    let mut columns = unleased(JobStatus::Ready);
    columns.run_after_ms = sea_orm::Set(integer(now_ms)?);
    columns.attempts = sea_orm::Set(0);
    columns.finished_ms = sea_orm::Set(None);
    let done = entity::Entity::update_many()
        .set(columns)
        .filter(Column::Id.eq(id.0))
        .filter(Column::Status.eq(JobStatus::Failed.as_str()))
        .exec(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    match done.rows_affected {
        0 => Err(StorageError::not_found(TABLE, id.0)),
        _ => Ok(()),
    }
}

/// Deletes jobs that were done before `before_ms`; returns how many.
///
/// # Errors
/// If the database failed.
pub async fn delete_done(tx: &Tx, before_ms: u64) -> Result<u64, StorageError> {
    let done = entity::Entity::delete_many()
        .filter(Column::Status.eq(JobStatus::Done.as_str()))
        .filter(Column::FinishedMs.lt(integer(before_ms)?))
        .exec(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    Ok(done.rows_affected)
}

/// The job due longest: ready and its time has come, or running and its lease has ended.
async fn next_due_model(read: &impl Read, now_ms: u64) -> Result<Option<entity::Model>, StorageError> {
    let now = integer(now_ms)?;
    let ready = Condition::all().add(Column::Status.eq(JobStatus::Ready.as_str())).add(Column::RunAfterMs.lte(now));
    let abandoned =
        Condition::all().add(Column::Status.eq(JobStatus::Running.as_str())).add(Column::LeaseUntilMs.lte(now));
    entity::Entity::find()
        .filter(Condition::any().add(ready).add(abandoned))
        .order_by_asc(Column::RunAfterMs)
        .order_by_asc(Column::Id)
        .one(read.connection())
        .await
        .map_err(StorageError::database(TABLE))
}

async fn take(tx: &Tx, job: Job, now_ms: u64, lease_ms: u64) -> Result<Claim, StorageError> {
    let lease = hex::encode(random_bytes::<16>());
    let lease_until_ms = now_ms.saturating_add(lease_ms);
    let job = Job { status: JobStatus::Running, attempts: job.attempts + 1, ..job };
    entity::Entity::update_many()
        .col_expr(Column::Status, Expr::value(job.status.as_str()))
        .col_expr(Column::Attempts, Expr::value(i64::from(job.attempts)))
        .col_expr(Column::Lease, Expr::value(lease.clone()))
        .col_expr(Column::LeaseUntilMs, Expr::value(integer(lease_until_ms)?))
        .filter(Column::Id.eq(job.id.0))
        .exec(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    Ok(Claim { job, lease_until_ms, lease })
}

async fn give_up(tx: &Tx, id: JobId, error: &str, now_ms: u64) -> Result<(), StorageError> {
    let mut columns = ended(JobStatus::Failed, now_ms)?;
    columns.last_error = sea_orm::Set(Some(error.to_owned()));
    entity::Entity::update_many()
        .set(columns)
        .filter(Column::Id.eq(id.0))
        .exec(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    Ok(())
}

async fn update_claimed(tx: &Tx, claim: &Claim, columns: entity::ActiveModel) -> Result<(), StorageError> {
    let done = entity::Entity::update_many()
        .set(columns)
        .filter(Column::Id.eq(claim.job.id.0))
        .filter(Column::Status.eq(JobStatus::Running.as_str()))
        .filter(Column::Lease.eq(claim.lease.as_str()))
        .exec(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    match done.rows_affected {
        0 => Err(StorageError::LeaseLost { job: claim.job.id.0 }),
        _ => Ok(()),
    }
}

/// An update that sets nothing yet.
fn unchanged() -> entity::ActiveModel {
    <entity::ActiveModel as Default>::default()
}

fn unleased(status: JobStatus) -> entity::ActiveModel {
    entity::ActiveModel {
        status: sea_orm::Set(status.to_string()),
        lease: sea_orm::Set(None),
        lease_until_ms: sea_orm::Set(None),
        ..unchanged()
    }
}

fn ended(status: JobStatus, now_ms: u64) -> Result<entity::ActiveModel, StorageError> {
    Ok(entity::ActiveModel { finished_ms: sea_orm::Set(Some(integer(now_ms)?)), ..unleased(status) })
}

fn decode(model: entity::Model) -> Result<Job, StorageError> {
    let key = model.id.to_string();
    let row = Row { table: TABLE, key: &key };
    Ok(Job {
        id: JobId(model.id),
        status: row.parse("status", &model.status)?,
        run_after_ms: row.number("run_after_ms", model.run_after_ms)?,
        attempts: row.number("attempts", model.attempts)?,
        kind: model.kind,
        ref_id: model.ref_id,
        last_error: model.last_error,
    })
}
