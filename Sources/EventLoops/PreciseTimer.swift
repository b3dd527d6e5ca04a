import CLinux
import Glibc

/// A timer of one loop that fires within microseconds of its moment, where `LoopTimer` may be a millisecond late. It
/// costs a descriptor and two system calls each time, so it is for what is measured, not for deadlines.
public final class PreciseTimer {
    private let descriptor = timerfd_create(Int32(CLOCK_MONOTONIC), Int32(TFD_NONBLOCK | TFD_CLOEXEC))
    private let body: () -> Void
    private var watcher: Watcher?

    /// A timer that does nothing until it is started.
    public init(loop: EventLoop, _ body: @escaping () -> Void) {
        self.body = body
        watcher = Watcher(loop: loop, descriptor: descriptor) { [unowned self] _ in fire() }
        watcher?.start()
    }

    deinit {
        watcher?.stop()
        close(descriptor)
    }

    /// Fires once, at `moment` of the monotonic clock (`MonotonicClock`); a moment that has passed fires at once.
    public func start(atUs moment: Int64) {
        // A zero time would disarm the timer.
        let moment = max(moment, 1)
        var setting = itimerspec()
        setting.it_value = timespec(tv_sec: Int(moment / 1_000_000), tv_nsec: Int(moment % 1_000_000) * 1000)
        timerfd_settime(descriptor, Int32(TFD_TIMER_ABSTIME), &setting, nil)
    }

    public func cancel() {
        var never = itimerspec()
        timerfd_settime(descriptor, 0, &never, nil)
    }

    private func fire() {
        var expirations: UInt64 = 0
        guard read(descriptor, &expirations, 8) == 8 else { return }
        // The body may drop the last reference to this timer.
        withExtendedLifetime(self) { body() }
    }
}
