import EventLoops
import JSON
import Services
import Telemetry

/// A kind of job: what stands under `type`, the shape of its `config`, and the work.
///
/// There is one instance per event loop, confined to it. `run` runs on that loop: what blocks goes to
/// `BlockingPool.shared`. A job may run more than once (a worker may die at any moment), never twice under one valid
/// lease: `JobContext.token` grows with every execution, so that what lies outside can refuse an older one.
public protocol JobKind: AnyObject, SendableMetatype {
    /// What `config` is read into. It cannot hold a value that `run` would have to refuse.
    associatedtype Config

    /// The word of `type`: lower case, digits and underscores, at most 64 bytes.
    static var name: String { get }

    /// Makes the instance of one loop.
    /// - Throws: when a setting of the kind is wrong; the process then does not start.
    init(context: ServiceContext) throws

    /// The setting without which this process could run no job of the kind: a worker then leaves its jobs to others. nil when
    /// nothing is missing.
    var missingSetting: String? { get }

    /// Reads a job's `config`: when the job is created, so that nothing is stored that could not run, and again before
    /// each execution.
    ///
    /// Every member that is known is read from `fields`; the caller refuses the others by name.
    /// - Throws: a problem that names the field.
    func config(_ fields: inout Fields) throws(Problem) -> Config

    /// Does the work.
    /// - Returns: the job's result, nil for none.
    /// - Throws: `JobFailure`, or any other error, which counts as a failure that may pass. `JobCancelled` after
    ///   `context.isCancelled` turned true.
    func run(_ config: Config, _ context: JobContext) async throws -> JSONValue?
}

extension JobKind {
    public var missingSetting: String? { nil }
}

/// Why an execution failed, as its kind knows it.
public struct JobFailure: Error, Sendable, Equatable {
    /// For a person; kept with the job, so it never holds a secret. Cut at 1000 bytes.
    public var message: String
    /// Trying again would not help.
    public var isPermanent: Bool
    /// Not to be tried again sooner than this, whatever the backoff says.
    public var retryAfterMs: Int?

    public init(_ message: String, isPermanent: Bool = false, retryAfterMs: Int? = nil) {
        self.message = message
        self.isPermanent = isPermanent
        self.retryAfterMs = retryAfterMs
    }
}

/// The execution ended early because it was told to.
public struct JobCancelled: Error, Sendable { public init() {} }
