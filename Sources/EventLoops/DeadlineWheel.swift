/// Something with a deadline that often moves: a connection waiting for its next byte.
public protocol DeadlineHolder: AnyObject {
    /// Called on the loop once the deadline has passed. It is none then, until it is moved again.
    func deadlinePassed()
}

/// A deadline on a wheel. Its holder owns it and lives longer; releasing it takes it off the wheel.
public final class Deadline {
    /// Microseconds on the loop's monotonic clock; `Int64.max` for none.
    public fileprivate(set) var us = Int64.max
    /// When the wheel looks at it next; never later than `us`.
    fileprivate var seenUs = Int64.max
    fileprivate var slot = -1
    // Neighbours in the slot. Unmanaged because the wheel must keep nothing alive: `deinit` unlinks.
    fileprivate var previous: Unmanaged<Deadline>?
    fileprivate var next: Unmanaged<Deadline>?
    fileprivate let wheel: DeadlineWheel
    /// Set once, before the deadline is first moved. Safe because the holder owns this object.
    public unowned(unsafe) var holder: (any DeadlineHolder)?

    public init(wheel: DeadlineWheel, holder: (any DeadlineHolder)? = nil) {
        self.wheel = wheel
        self.holder = holder
    }

    deinit { wheel.unlink(self) }

    /// Sets the deadline. Moving it back is a store; moving it forward past the wheel's next look relinks it.
    @inline(__always)
    public func move(toUs us: Int64) {
        self.us = us
        if us < seenUs { wheel.place(self) }
    }
}

/// Deadlines of many connections at the price of one timer.
///
/// A deadline sits in the slot of the time it had when it was placed. When the slot comes round and the deadline has
/// moved on, it is placed again. Deadlines are met within two slots. Weak about order, cheap about all else.
public final class DeadlineWheel {
    private unowned let loop: EventLoop
    private let slotUs: Int64
    private var slots: [Unmanaged<Deadline>?]
    /// The slot number, counted since the clock's origin, that was last looked at.
    private var position: Int64 = 0
    private var linked = 0
    private var timer: LoopTimer?
    private var isTurning = false

    /// - Parameters:
    ///   - slotUs: the precision of the wheel.
    ///   - slotCount: how many slots; a deadline beyond them is looked at once a turn.
    public init(loop: EventLoop, slotUs: Int64 = 250_000, slotCount: Int = 512) {
        self.loop = loop
        self.slotUs = slotUs
        slots = Array(repeating: nil, count: slotCount)
    }

    fileprivate func place(_ deadline: Deadline) {
        unlink(deadline)
        deadline.seenUs = deadline.us
        if deadline.us == .max { return }
        if !isTurning { startTurning() }
        let farthest = position + Int64(slots.count) - 1
        let number = min(max(deadline.us / slotUs + 1, position + 1), farthest)
        if number == farthest { deadline.seenUs = min(deadline.us, number * slotUs) }
        let slot = Int(number % Int64(slots.count))
        deadline.slot = slot
        deadline.next = slots[slot]
        deadline.next?.takeUnretainedValue().previous = Unmanaged.passUnretained(deadline)
        slots[slot] = Unmanaged.passUnretained(deadline)
        linked += 1
    }

    fileprivate func unlink(_ deadline: Deadline) {
        guard deadline.slot >= 0 else { return }
        if let previous = deadline.previous {
            previous.takeUnretainedValue().next = deadline.next
        } else {
            slots[deadline.slot] = deadline.next
        }
        deadline.next?.takeUnretainedValue().previous = deadline.previous
        deadline.previous = nil
        deadline.next = nil
        deadline.slot = -1
        deadline.seenUs = .max
        linked -= 1
    }

    /// Never within a turn: the slots that the turn has still to look at lie behind the position set here.
    private func startTurning() {
        isTurning = true
        position = loop.nowUs / slotUs
        if timer == nil { timer = LoopTimer(loop: loop) { [unowned self] in turn() } }
        timer?.start(everyUs: slotUs)
    }

    private func turn() {
        let target = loop.nowUs / slotUs
        // A loop that was held up has slots to make up for, but never more than one turn of them.
        position = max(position, target - Int64(slots.count))
        while position < target {
            position += 1
            let slot = Int(position % Int64(slots.count))
            while let deadline = slots[slot]?.takeUnretainedValue() {
                let isDue = deadline.us <= loop.nowUs
                if isDue { deadline.us = .max }
                place(deadline)
                if isDue { deadline.holder?.deadlinePassed() }
            }
        }
        if linked == 0 {
            isTurning = false
            timer?.cancel()
        }
    }
}
