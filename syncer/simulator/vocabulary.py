"""
The words of the public catalog: types, capabilities, tags, makers (UPSTREAM §3.5, §8).

Owns constants only.
Kind: pure.
"""

from __future__ import annotations

ACCEPTED_TYPES = (
    "flux.1",
    "flux.1-lora",
    "flux.1-kontext-dev",
    "flux.1-krea-dev",
    "flux.1-kontext-lora",
    "flux.1-krea-lora",
    "flux.1-composition",
    "flux.1-pro",
    "flux1.1-pro",
    "flux.1.1-pro-ultra",
    "flux.2-dev-lora",
    "flux.2-dev-edit-lora",
    "flux.2-klein-4b-lora",
    "flux.2-klein-9b-lora",
    "flux.2-klein-base-4b-lora",
    "flux.2-klein-base-9b-lora",
    "flux.2-klein-4b-edit-lora",
    "flux.2-klein-9b-edit-lora",
    "flux.2-klein-base-4b-edit-lora",
    "flux.2-klein-base-9b-edit-lora",
    "gpt-image-1",
    "qwen-image-lora",
    "qwen-image-2512-lora",
    "qwen-image-edit-lora",
    "qwen-image-edit-2509-lora",
    "qwen-image-edit-2511-lora",
    "zimage-lora",
    "zimage-turbo-lora",
    "zimage-de-turbo-lora",
    "custom",
    "elevenlabs-voice",
)
"""The filter values of today; the six ``sd-*`` values of the seed page were removed since."""

UNKNOWN_TYPES = ("flux.3-lora", "gaussian-splat-lora")
"""Served on rows, in no list of types and accepted by no filter: the next release's types."""

STATUSES = ("copying", "failed", "new", "trained", "training", "training-canceled")
"""Response values of ``status``."""

STATUS_FILTERS = ("new", "training", "trained", "failed", "deleted")
"""Request values of ``status``: not the same set."""

CUSTOM_CAPABILITIES = (
    ("txt2img", "img2img"),
    ("txt2img", "img2img", "video2img"),
    ("txt2video", "img2video"),
    ("txt2video", "img2video", "video2video"),
    ("img23d",),
    ("txt23d", "img23d"),
    ("txt2audio",),
    ("audio2audio", "txt2audio"),
    ("img2img",),
    ("img2txt", "txt2txt"),
    ("video2audio",),
)

LORA_CAPABILITIES = (
    "txt2img",
    "img2img",
    "inpaint",
    "outpaint",
    "controlnet",
    "controlnet_img2img",
    "controlnet_inpaint",
    "controlnet_inpaint_ip_adapter",
    "controlnet_ip_adapter",
    "controlnet_reference",
    "img2img_ip_adapter",
    "img2img_texture",
    "inpaint_ip_adapter",
    "reference",
    "reference_texture",
    "txt2img_ip_adapter",
    "txt2img_texture",
)

MAKERS = (
    ("OpenAI", "GPT-Image", "Provider"),
    ("Google", "Gemini", "Provider"),
    ("Black Forest Labs", "Flux", "Fal"),
    ("Bytedance", "Seedance", "Provider"),
    ("Tencent", "Hunyuan", "Modal"),
    ("Vast AI", "Tripo", "Modal"),
    ("Kuaishou", "Kling", "Fal"),
    ("Shengshu", "Vidu", "Fal"),
    ("Alibaba", "Wan", "Replicate"),
    ("Meshy", "Meshy", "Provider"),
    ("Deemos", "Rodin", "Fal"),
    ("ElevenLabs", "ElevenLabs", "Provider"),
    ("Recraft", "Recraft", "Replicate"),
    ("Ideogram", "Ideogram", "Replicate"),
    ("Deacon", "Deacon", "AWS"),
)
"""Model provider, family (also a tag), sub-processor."""

TOPIC_TAGS = (
    "Video",
    "T2V",
    "I2V",
    "V2V",
    "First Frame",
    "Last Frame",
    "Reference Images",
    "Video Editing",
    "Video to Video",
    "Text to Image",
    "Image to Image",
    "Image to 3D",
    "Text to 3D",
    "3D",
    "Splat",
    "Gaussian Splatting",
    "Audio",
    "TTS",
    "Music",
    "Text to Music",
    "Text to Speech",
    "PBR",
    "Post Processing",
    "Segmentation",
    "Retexture",
    "rigging",
    "Animation",
    "Multiview",
    "editing",
    "featured",
    "llm",
    "lipsync",
    "image-upscale",
    "remove-background",
    "vectorize",
    "deprecated",
)

STYLE_TAGS = ("characters", "fantasy", "cartoon", "Isometric", "Pixel Art", "Texture", "Game UI")

SYSTEM_TAGS = ("sc:featured", "sc:texture", "sc:tool", "sc:skybox")

ADJECTIVES = ("Gentle", "Vivid", "Crisp", "Painted", "Cinematic", "Tiny", "Épique", "Neon", "Soft")

NOUNS = ("Knights", "Forests", "Icons", "Portraits", "Dragons", "Rooms", "Sprites", "城", "Skies")

EMOJI = ("🍌", "🎨", "🧊", "🎬", "🧑‍🎤")

SENTENCES = (
    "Generates highly detailed scenes from a short prompt.",
    "Keeps faces, hands and lettering consistent across a whole series of images.",
    "Turns a single reference picture into a textured asset with clean topology.",
    "Follows long instructions closely, and edits only the part that you name.",
    "Best results with plain language; style words at the end of the prompt.",
    "Supports first and last frame, camera moves, and native sound.",
    "A compact model for quick iterations before the final render.",
    "Trained on hand-drawn originals; ideal for storybooks and card games.",
    "Naïve colours, crisp outlines, no background.",
)

COMMENTS = ("researchOnly", "serviceImprovement", "temporaryRetention", "zeroRetention")
