import CLibevent
import Glibc

/// What a descriptor is ready for.
public struct Readiness: OptionSet, Sendable {
    public let rawValue: Int16
    public init(rawValue: Int16) { self.rawValue = rawValue }

    public static let read = Readiness(rawValue: Int16(EV_READ))
    public static let write = Readiness(rawValue: Int16(EV_WRITE))
}

/// A descriptor registered with a loop. Level-triggered. It does not own the descriptor: stop the watcher, then close.
public final class Watcher {
    public let descriptor: Int32
    private unowned let loop: EventLoop
    private let body: (Readiness) -> Void
    private var readEvent: OpaquePointer?
    private var writeEvent: OpaquePointer?
    private var isStarted = false
    private var readsAreOn = false
    private var writesAreOn = false

    /// - Parameter body: called on the loop with what the descriptor is ready for; never after `stop`.
    public init(loop: EventLoop, descriptor: Int32, _ body: @escaping (Readiness) -> Void) {
        self.loop = loop
        self.descriptor = descriptor
        self.body = body
    }

    deinit { freeEvents() }

    /// Begins to watch for reading.
    public func start() {
        isStarted = true
        wantsReads = true
    }

    /// Ends all watching, for good. The watcher may be released inside its own callback.
    public func stop() {
        guard isStarted else { return }
        isStarted = false
        freeEvents()
        loop.retire(self)
    }

    /// Whether the callback hears of readability. Off while a connection is not to be read (back-pressure).
    public var wantsReads: Bool {
        get { readsAreOn }
        set {
            guard newValue != readsAreOn, isStarted else { return }
            readsAreOn = newValue
            set(&readEvent, EV_READ, newValue)
        }
    }

    /// Whether the callback hears of writability. On only while there is something that could not be written.
    public var wantsWrites: Bool {
        get { writesAreOn }
        set {
            guard newValue != writesAreOn, isStarted else { return }
            writesAreOn = newValue
            set(&writeEvent, EV_WRITE, newValue)
        }
    }

    private func set(_ event: inout OpaquePointer?, _ kind: Int32, _ isOn: Bool) {
        if event == nil {
            let context = Unmanaged.passUnretained(self).toOpaque()
            event = event_new(loop.base, descriptor, Int16(kind | EV_PERSIST), watcherIsReady, context)
        }
        if isOn { event_add(event, nil) } else { event_del(event) }
    }

    fileprivate func isReady(_ readiness: Readiness) {
        guard isStarted else { return }
        loop.readClock()
        body(readiness)
    }

    private func freeEvents() {
        if let readEvent { event_free(readEvent) }
        if let writeEvent { event_free(writeEvent) }
        readEvent = nil
        writeEvent = nil
        readsAreOn = false
        writesAreOn = false
    }
}

private func watcherIsReady(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    Unmanaged<Watcher>.fromOpaque(context!).takeUnretainedValue().isReady(Readiness(rawValue: what))
}
