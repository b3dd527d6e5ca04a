import CLibevent
import Glibc

/// One event loop: one thread, one libevent base, and the Swift executor of everything that runs on it.
///
/// A tick is: poll; run the callbacks of what is ready; drain Swift jobs; then the end-of-tick phases in order
/// (`EndOfTick`). Requests that arrive together therefore leave for Redis in one write, and answers that are ready
/// together leave in one write per connection.
///
/// Everything reachable from a loop is confined to its thread. Two calls may come from any thread: `send` and `stop`
/// (and the runtime's `enqueue`).
public final class EventLoop: TaskExecutor, @unchecked Sendable {
    // Unchecked because all mutable state but the mailbox is touched on the loop's own thread only, which
    // `preconditionOnLoop` asserts at the doors, and the mailbox is behind its lock.
    public let index: Int

    /// Microseconds on the monotonic clock, read once a tick, after the poll.
    public private(set) var nowUs: Int64 = MonotonicClock.nowUs()
    private var hasReadClock = false

    /// How long, in microseconds, ticks have been busy beyond `attentiveUs` each: time in which the loop heard nobody, and
    /// which is not the fault of whoever was to answer meanwhile.
    public private(set) var lostUs: Int64 = 0
    /// How long a tick may be busy before the rest of it counts as lost.
    public static let attentiveUs: Int64 = 2000

    let base: OpaquePointer
    private var thread = pthread_t()
    private var jobs: [UnownedJob] = []
    private var running: [UnownedJob] = []
    private let mailbox = Mailbox()
    private var mailboxWatcher: Watcher?
    private var endOfTick = EndOfTickQueues()
    private var retired: [AnyObject] = []
    private var stopping = false
    private(set) lazy var slices = SliceQueue(loop: self)

    public init(index: Int = 0) {
        self.index = index
        let configuration = event_config_new()
        // The base is used by one thread; libevent's own locks would be pure cost.
        event_config_set_flag(configuration, Int32(EVENT_BASE_FLAG_NOLOCK.rawValue))
        base = event_base_new_with_config(configuration)!
        event_config_free(configuration)
    }

    deinit { event_base_free(base) }

    /// Called before the callbacks of a tick: the first one reads the clock, since the poll may have slept for long.
    @inline(__always)
    func readClock() {
        guard !hasReadClock else { return }
        hasReadClock = true
        nowUs = MonotonicClock.nowUs()
    }

    // MARK: Running

    /// Runs until `stop`, on the calling thread, which becomes the loop's thread. `setUp` runs first, on the loop.
    public func run(_ setUp: () -> Void = {}) {
        thread = pthread_self()
        CurrentLoop.set(self)
        let watcher = Watcher(loop: self, descriptor: mailbox.descriptor) { [unowned self] _ in
            for work in mailbox.takeAll() { work() }
        }
        mailboxWatcher = watcher
        watcher.start()
        setUp()
        finishTick()
        while !stopping {
            event_base_loop(base, EVLOOP_ONCE)
            finishTick()
        }
        watcher.stop()
        mailboxWatcher = nil
        CurrentLoop.set(nil)
    }

    /// Ends `run` after the current tick. From any thread.
    public func stop() {
        send { [unowned self] in stopping = true }
    }

    /// Runs `work` on the loop's thread, in order of sending. From any thread; one wake-up for all that is sent
    /// between two ticks.
    public func send(_ work: @escaping @Sendable () -> Void) {
        mailbox.put(work)
    }

    /// Whether the caller is on this loop's thread.
    public var isCurrent: Bool { CurrentLoop.get() === self }

    public func preconditionOnLoop() { precondition(isCurrent, "called off the loop's thread") }

    /// The loop whose thread this is, if it is one.
    public static var current: EventLoop? { CurrentLoop.get() }

    /// Starts `body` at once on this loop and lets it go on here after each suspension.
    ///
    /// The body may capture what is confined to the loop: it never leaves the loop's thread.
    @inline(__always)
    public func spawn(_ body: @escaping () async -> Void) {
        assert(isCurrent)
        nonisolated(unsafe) let body = body
        Task.immediate(executorPreference: self) { await body() }
    }

    // MARK: Time

    /// Runs `body` once after `delayUs` microseconds unless the timer is cancelled or released first.
    public func after(us delayUs: Int64, _ body: @escaping () -> Void) -> LoopTimer {
        let timer = LoopTimer(loop: self, body)
        timer.start(afterUs: delayUs)
        return timer
    }

    /// Suspends the caller, which runs on this loop, for `delayUs` microseconds.
    public func sleep(us delayUs: Int64) async {
        var timer: LoopTimer?
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            timer = after(us: delayUs) { continuation.resume() }
        }
        withExtendedLifetime(timer) {}
    }

    // MARK: Executor

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if isCurrent {
            jobs.append(job)
        } else {
            send { [unowned self] in jobs.append(job) }
        }
    }

    private func drainJobs() {
        guard !jobs.isEmpty else { return }
        let executor = asUnownedTaskExecutor()
        while !jobs.isEmpty {
            swap(&jobs, &running)
            for job in running { job.runSynchronously(on: executor) }
            running.removeAll(keepingCapacity: true)
        }
    }

    // MARK: End of tick

    /// Has `item.endOfTick()` called in `phase` of the current tick. An item that may ask twice keeps its own flag.
    @inline(__always)
    public func atEndOfTick(_ phase: EndOfTickPhase, _ item: EndOfTick) {
        endOfTick.append(item, to: phase)
    }

    /// Keeps `object` alive until the tick is over, for callbacks of it that may still be on the stack or in
    /// libevent's queue of ready events.
    func retire(_ object: AnyObject) { retired.append(object) }

    private func runFirstPhase() -> Bool {
        guard let items = endOfTick.takeFirstNonEmpty() else { return false }
        for item in items { item.endOfTick() }
        endOfTick.recycle(items)
        return true
    }

    private func finishTick() {
        readClock()
        repeat {
            drainJobs()
            // An earlier phase may have gained items from a later one, so begin again after each phase that had any.
        } while runFirstPhase() || !jobs.isEmpty
        if !retired.isEmpty { retired.removeAll(keepingCapacity: true) }
        lostUs += max(0, MonotonicClock.nowUs() - nowUs - EventLoop.attentiveUs)
        hasReadClock = false
    }
}
