import CLibevent
import Glibc

/// A timer of one loop. Releasing it cancels it.
public final class LoopTimer {
    private let body: () -> Void
    private unowned let loop: EventLoop
    private var event: OpaquePointer?
    private var intervalUs: Int64 = 0
    private var dueUs: Int64 = 0

    /// A timer that does nothing until it is started.
    public init(loop: EventLoop, _ body: @escaping () -> Void) {
        self.loop = loop
        self.body = body
        event = event_new(loop.base, -1, 0, timerFired, Unmanaged.passUnretained(self).toOpaque())
    }

    deinit { event_free(event) }

    /// Fires once, `delayUs` from now; starting again moves the moment.
    public func start(afterUs delayUs: Int64) {
        intervalUs = 0
        add(delayUs)
    }

    /// Fires every `intervalUs`, the first time after one interval.
    public func start(everyUs intervalUs: Int64) {
        self.intervalUs = intervalUs
        add(intervalUs)
    }

    public func cancel() {
        intervalUs = 0
        event_del(event)
    }

    private func add(_ delayUs: Int64) {
        let delayUs = max(0, delayUs)
        dueUs = MonotonicClock.nowUs() + delayUs
        schedule(delayUs)
    }

    private func schedule(_ delayUs: Int64) {
        var interval = timeval(tv_sec: Int(delayUs / 1_000_000), tv_usec: Int(delayUs % 1_000_000))
        event_add(event, &interval)
    }

    fileprivate func fire() {
        loop.readClock()
        // libevent counts from the beginning of the tick, by a coarse clock, and so may be a few milliseconds early.
        let restUs = dueUs - MonotonicClock.nowUs()
        if restUs > 0 { return schedule(restUs) }
        if intervalUs > 0 { add(intervalUs) }
        // The body may drop the last reference to this timer.
        withExtendedLifetime(self) { body() }
    }
}

private func timerFired(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    Unmanaged<LoopTimer>.fromOpaque(context!).takeUnretainedValue().fire()
}
