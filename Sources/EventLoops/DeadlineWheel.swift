/// Something with a deadline that often moves: a connection waiting for its next byte.
public protocol DeadlineHolder: AnyObject {
    /// Microseconds on the loop's monotonic clock; `Int64.max` for none. Change it freely; the wheel reads it when the
    /// holder's slot comes round.
    var deadlineUs: Int64 { get }
    /// Called once the deadline has passed. The wheel has let go of the holder by then.
    func deadlinePassed()
}

/// Deadlines of many connections at the price of one timer: moving a deadline is a store into the holder.
///
/// A holder sits in the slot of the deadline it had when it was placed. When the slot comes round and the deadline has
/// moved on, it is placed again. Deadlines are met within two slots (`slotUs`). Weak about order, cheap about all else.
public final class DeadlineWheel {
    private struct Entry {
        weak var holder: (any DeadlineHolder)?
    }

    private unowned let loop: EventLoop
    private let slotUs: Int64
    private var slots: [[Entry]]
    private var position = 0
    private var timer: LoopTimer?

    /// - Parameters:
    ///   - slotUs: the precision of the wheel.
    ///   - slotCount: how many slots; a deadline beyond them is looked at once a turn.
    public init(loop: EventLoop, slotUs: Int64 = 250_000, slotCount: Int = 512) {
        self.loop = loop
        self.slotUs = slotUs
        slots = Array(repeating: [], count: slotCount)
    }

    /// Watches `holder` until its deadline passes or it is released.
    public func add(_ holder: any DeadlineHolder) {
        if timer == nil {
            timer = LoopTimer(loop: loop) { [unowned self] in turn() }
            timer?.start(everyUs: slotUs)
        }
        place(Entry(holder: holder), holder.deadlineUs)
    }

    private func place(_ entry: Entry, _ deadlineUs: Int64) {
        let distance = deadlineUs == .max ? Int64(slots.count - 1) : (deadlineUs - loop.nowUs) / slotUs + 1
        let slot = (position + Int(min(max(distance, 1), Int64(slots.count - 1)))) % slots.count
        slots[slot].append(entry)
    }

    private func turn() {
        position = (position + 1) % slots.count
        let due = slots[position]
        slots[position] = []
        for entry in due {
            guard let holder = entry.holder else { continue }
            if holder.deadlineUs <= loop.nowUs { holder.deadlinePassed() } else { place(entry, holder.deadlineUs) }
        }
    }
}
