import EventLoops
import JSON
import Telemetry

/// What one execution knows of itself, and what it may say while it runs. Confined to its loop.
public final class JobContext {
    public let loop: EventLoop
    private let id: JobID
    /// Larger with every execution of any job of the queue: the fencing token.
    public let token: Int
    /// 1 for the first attempt.
    public let attempt: Int
    /// When the execution is to be over (`MonotonicClock`, µs); nil without a timeout.
    public let deadlineUs: Int64?
    /// W3C trace context of the request that made the job, for outgoing calls.
    public let traceparent: String?
    public let log: Logger

    public var jobID: String { id.description }
    public var executionID: String { ExecutionID(job: id, token: token).description }

    /// Whether it has been told to end: cancelled, past its timeout, preempted, or its lease is gone.
    public private(set) var isCancelled = false
    /// The latest progress that was reported.
    public private(set) var latestProgress: JSONValue?
    private var cancelHandlers: [() -> Void] = []

    public init(
        loop: EventLoop, jobID: JobID, token: Int, attempt: Int, deadlineUs: Int64? = nil, traceparent: String? = nil,
        log: Logger
    ) {
        self.loop = loop
        id = jobID
        self.token = token
        self.attempt = attempt
        self.deadlineUs = deadlineUs
        self.traceparent = traceparent
        self.log = log
    }

    /// Says how far the work is; sent with the next heartbeat (at most 5 s later). At most 1000 bytes as JSON.
    public func progress(_ value: JSONValue) { latestProgress = value }

    /// Calls `body` once when the execution is told to end; at once when it already has been.
    public func onCancel(_ body: @escaping () -> Void) {
        if isCancelled { body() } else { cancelHandlers.append(body) }
    }

    /// Throws `JobCancelled` once the execution has been told to end: for loops that do much.
    public func checkCancellation() throws {
        if isCancelled { throw JobCancelled() }
    }

    /// Suspends for `us` microseconds, or until the execution is told to end, whichever is first.
    public func sleep(us: Int64) async throws {
        var timer: LoopTimer?
        var isOver = false
        await suspend { (resume: @escaping (()) -> Void) in
            let finish = {
                if isOver { return }
                isOver = true
                resume(())
            }
            timer = loop.after(us: us, finish)
            onCancel(finish)
        }
        withExtendedLifetime(timer) {}
        try checkCancellation()
    }

    /// Tells the execution to end.
    public func cancel() {
        guard !isCancelled else { return }
        isCancelled = true
        let handlers = cancelHandlers
        cancelHandlers = []
        for handler in handlers { handler() }
    }
}
