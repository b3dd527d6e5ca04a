import CHiredis

// C callbacks: plain functions, which find the link by the pointer they are given.

private func link(_ pointer: UnsafeMutableRawPointer?) -> RedisLink {
    Unmanaged<RedisLink>.fromOpaque(pointer!).takeUnretainedValue()
}

func linkWantsToWrite(_ data: UnsafeMutableRawPointer?) { link(data).wantsToWrite() }

func linkHasWritten(_ data: UnsafeMutableRawPointer?) { link(data).hasWritten() }

func linkIsCleanedUp(_ data: UnsafeMutableRawPointer?) { link(data).cleanUp() }

func linkConnected(_ context: UnsafePointer<redisAsyncContext>?, _ status: Int32) {
    link(context!.pointee.data).didConnect(status)
}

func linkDisconnected(_ context: UnsafePointer<redisAsyncContext>?, _ status: Int32) {
    link(context!.pointee.data).didClose()
}

func linkReplied(
    _ context: UnsafeMutablePointer<redisAsyncContext>?, _ reply: UnsafeMutableRawPointer?,
    _ data: UnsafeMutableRawPointer?
) {
    link(data).replied(reply.map { UnsafePointer($0.assumingMemoryBound(to: redisReply.self)) })
}
