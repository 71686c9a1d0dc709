// Sends one PDF through an edge, then takes and registers what has arrived. Not compiled by the checks of this project.

using System.Security.Cryptography;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Truc.Edge.V1;

const int ChunkBytes = 256 * 1024;

if (args.Length != 4)
{
    Console.Error.WriteLine("usage: TrucDmsExample http://HOST:PORT REFERENCE RECIPIENT FILE.pdf");
    return 2;
}

using var channel = GrpcChannel.ForAddress(args[0]);
var edge = new DocumentService.DocumentServiceClient(channel);
try
{
    Console.WriteLine(await Send(args[1], args[2], args[3]));
    await Receive("arrived");
    return 0;
}
catch (RpcException refused)
{
    // google.rpc.ErrorInfo in the trailer "grpc-status-details-bin" has the stable reason (package Grpc.StatusProto).
    Console.Error.WriteLine(refused.Status);
    return 1;
}

// The same reference with the same document may be sent again after any failure: it goes out once.
async Task<string> Send(string reference, string recipient, string path)
{
    var document = new Document
    {
        Recipients = { recipient },
        Number = "4127",
        Notation = "BTC-NSNN",
        Subject = "Về việc thử liên thông",
        Type = new DocumentType { Name = "Công văn" },
        Urgency = Urgency.Normal,
        Secrecy = Secrecy.None,
        Attachments =
        {
            new Attachment { Name = Path.GetFileName(path), MediaType = "application/pdf", Size = (ulong)new FileInfo(path).Length },
        },
    };
    using var call = edge.SendDocument();
    await call.RequestStream.WriteAsync(new SendDocumentRequest
    {
        Header = new DocumentHeader { ClientReference = reference, Document = document },
    });
    await using var file = File.OpenRead(path);
    var piece = new byte[ChunkBytes];
    for (int read; (read = await file.ReadAsync(piece)) > 0;)
    {
        await call.RequestStream.WriteAsync(new SendDocumentRequest { Data = ByteString.CopyFrom(piece, 0, read) });
    }
    await call.RequestStream.CompleteAsync();
    return (await call).MessageId;
}

async Task Receive(string folder)
{
    using var arrived = edge.ReceiveDocuments(new ReceiveDocumentsRequest { NoWait = true });
    await foreach (var next in arrived.ResponseStream.ReadAllAsync())
    {
        var received = next.Document;
        var target = Directory.CreateDirectory(Path.Combine(folder, $"{received.MessageId}.{received.Recipient}")).FullName;
        for (var index = 0; index < received.Document.Attachments.Count; index++)
        {
            // Never under the name that the sender chose.
            var path = Path.Combine(target, $"{index:00}");
            await using (var file = File.Create(path))
            {
                using var pieces = edge.DownloadAttachment(
                    new DownloadAttachmentRequest { MessageId = received.MessageId, Index = (uint)index });
                await foreach (var piece in pieces.ResponseStream.ReadAllAsync())
                {
                    piece.Data.WriteTo(file);
                }
            }
            await using var stored = File.OpenRead(path);
            if (Convert.ToHexString(await SHA256.HashDataAsync(stored)).ToLowerInvariant() != received.Document.Attachments[index].Sha256)
            {
                throw new InvalidDataException($"attachment {index} of {received.MessageId} has another digest");
            }
        }
        await edge.AcknowledgeAsync(new AcknowledgeRequest
        {
            MessageId = received.MessageId, Recipient = received.Recipient, ArrivalNumber = "1",
        });
        await edge.ConfirmDocumentsAsync(new ConfirmDocumentsRequest { Cursor = next.Cursor });
        Console.WriteLine($"{received.MessageId} {received.Document.Subject}");
    }
}
