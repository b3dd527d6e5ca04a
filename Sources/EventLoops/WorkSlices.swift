/// Long work on a loop, done in slices, so that everything else on the loop goes on in between.
///
///     var slices = WorkSlices(loop)
///     for row in rows {
///         judge(row)
///         await slices.pauseIfLong()
///     }
///
/// A part between two calls of `pauseIfLong` must itself be short: tens of microseconds, not milliseconds. Between two
/// polls a loop does one slice, however many requests have long work.
public struct WorkSlices {
    /// How long a slice lasts before the loop's other work has its turn, in microseconds.
    public static let lengthUs: Int64 = 2000

    private let loop: EventLoop
    private var endsUs: Int64

    public init(_ loop: EventLoop) {
        self.loop = loop
        endsUs = MonotonicClock.nowUs() + WorkSlices.lengthUs
    }

    /// Lets the loop's other work go first when this slice has lasted long enough. What the caller knows of the loop's
    /// state may be old afterwards.
    public mutating func pauseIfLong() async {
        guard MonotonicClock.nowUs() >= endsUs else { return }
        await loop.slices.nextTurn()
        endsUs = MonotonicClock.nowUs() + WorkSlices.lengthUs
    }
}

/// Those whose long work waits for its next slice on a loop, served in order, one between two polls.
final class SliceQueue {
    private unowned let loop: EventLoop
    private var waiting: [UnsafeContinuation<Void, Never>] = []
    private lazy var timer = LoopTimer(loop: loop) { [unowned self] in serveOne() }

    init(loop: EventLoop) { self.loop = loop }

    func nextTurn() async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            waiting.append(continuation)
            // A timer fires only after the next poll, so whatever has arrived meanwhile is served first.
            if waiting.count == 1 { timer.start(afterUs: 0) }
        }
    }

    private func serveOne() {
        let next = waiting.removeFirst()
        if !waiting.isEmpty { timer.start(afterUs: 0) }
        next.resume()
    }
}
