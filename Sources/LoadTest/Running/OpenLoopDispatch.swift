import EventLoops
import Telemetry

/// Hands the requests of a schedule to connections with a free slot, in turn; requests that find none wait here and keep
/// their intended moment.
final class OpenLoopDispatch {
    private struct Slot {
        let connection: Connection
        let generation: Int
    }

    private var schedule: OpenLoopSchedule
    private let send: (Connection, Int64) -> Void
    private var free = Ring<Slot>(capacity: 256)
    private var waiting = Ring<Int64>(capacity: 1024)
    private var touched: [Connection] = []
    private var timer: PreciseTimer?

    /// How late requests left that found a free slot: the generator's own error.
    let sendDelay = Histogram()

    /// - Parameter send: puts the next request on a connection, its latency counted from the given moment.
    init(loop: EventLoop, schedule: OpenLoopSchedule, send: @escaping (Connection, Int64) -> Void) {
        self.schedule = schedule
        self.send = send
        timer = PreciseTimer(loop: loop) { [unowned self] in pump() }
    }

    /// Whether every request of the schedule was sent.
    var isSent: Bool { schedule.nextUs == nil && waiting.isEmpty }

    func start() { pump() }

    func stop() { timer = nil }

    /// A connection was opened, or a request of it answered: it has so many free slots. It is flushed by the caller.
    func add(_ connection: Connection, slots: Int) {
        for _ in 0..<slots {
            if let sinceUs = waiting.popFirst() {
                send(connection, sinceUs)
            } else {
                free.append(Slot(connection: connection, generation: connection.generation))
            }
        }
    }

    /// Takes out the intended moments of the requests that found no connection.
    func takeWaiting() -> [Int64] {
        var moments: [Int64] = []
        while let moment = waiting.popFirst() { moments.append(moment) }
        return moments
    }

    private func pump() {
        let nowUs = MonotonicClock.nowUs()
        while let dueUs = schedule.takeDue(nowUs: nowUs) {
            guard let connection = nextFree() else {
                waiting.append(dueUs)
                continue
            }
            sendDelay.record(nowUs - dueUs)
            send(connection, dueUs)
            touched.append(connection)
        }
        for connection in touched { connection.flush() }
        touched.removeAll(keepingCapacity: true)
        if let nextUs = schedule.nextUs { timer?.start(atUs: nextUs) }
    }

    private func nextFree() -> Connection? {
        while let slot = free.popFirst() {
            // A connection that was opened again has brought new slots with it.
            if slot.connection.generation == slot.generation, slot.connection.takesRequests { return slot.connection }
        }
        return nil
    }
}
